"""The golden data never change, and what is measured on them depends on code and settings only."""

import hashlib
import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from conf.training import AlsSettings
from deploy.archive import write_archive
from models.errors import GoldenChanged
from models.golden import golden_metrics, golden_table
from models.golden import measure as module
from models.golden.measure import FILE, SHA256
from models.golden.planted import SCHEMA, plant

SETTINGS = AlsSettings(factors=16, iterations=3)


def frozen() -> bytes:
    return Path(module.__file__).with_name(FILE).read_bytes()


def test_the_file_is_the_one_that_is_registered() -> None:
    assert hashlib.sha256(frozen()).hexdigest() == SHA256
    assert len(frozen()) <= 300 * 1024


def test_the_script_beside_it_made_it() -> None:
    table = golden_table()
    assert table.schema.equals(SCHEMA)
    assert table.equals(plant())
    pairs = np.stack([table["user_id"].to_numpy(), table["source_id"].to_numpy()], axis=1)
    assert np.array_equal(pairs, np.unique(pairs, axis=0))  # one row per pair, sorted


def test_every_held_out_user_and_source_is_trained() -> None:
    table = golden_table()
    trained, truth = table.filter(pc.invert(table["held_out"])), table.filter(table["held_out"])
    for column in ("user_id", "source_id"):
        assert set(truth[column].to_pylist()) <= set(trained[column].to_pylist())


def test_another_byte_is_an_error_that_says_what_to_do() -> None:
    content = bytearray(frozen())
    content[len(content) // 2] ^= 1
    with pytest.raises(GoldenChanged, match=rf"registered is {SHA256}.*restore the file.*new version") as caught:
        golden_metrics(SETTINGS, bytes(content))
    assert caught.value.exit_code == 2


def test_the_same_settings_give_the_same_figures_whatever_the_threads() -> None:
    found = golden_metrics(SETTINGS)
    machine = SETTINGS.model_copy(update={"threads": 2, "max_memory": 1, "algorithm": "als_spark", "cold_every": 1})
    assert golden_metrics(machine) == found
    assert replace(found, **found.to_json()) == found


def test_the_figures_move_with_the_recipe_and_popularity_does_not() -> None:
    first, other = golden_metrics(SETTINGS), golden_metrics(SETTINGS.model_copy(update={"alpha": 5.0}))
    assert first.ndcg != other.ndcg
    assert (first.popularity_ndcg, first.popularity_recall) == (other.popularity_ndcg, other.popularity_recall)


def test_what_was_planted_is_found() -> None:
    found = golden_metrics(AlsSettings())
    assert found.users > 1_000
    assert found.ndcg > 1.5 * found.popularity_ndcg
    assert found.recall > 1.4 * found.popularity_recall


def test_popularity_is_what_its_definition_says() -> None:
    """Counted again in plain Python."""
    table = golden_table().to_pylist()
    seen: dict[int, set[int]] = {}
    truth: dict[int, set[int]] = {}
    for row in table:
        (truth if row["held_out"] else seen).setdefault(row["user_id"], set()).add(row["source_id"])
    users_of: dict[int, int] = {}
    for sources in seen.values():
        for source in sources:
            users_of[source] = users_of.get(source, 0) + 1
    ranked = sorted(users_of, key=lambda source: (-users_of[source], source))
    ndcg, recall = [], []
    for user, wanted in truth.items():
        best = [source for source in ranked if source not in seen[user]][:20]
        gains = [1 / np.log2(rank + 2) if source in wanted else 0.0 for rank, source in enumerate(best)]
        ndcg.append(sum(gains) / sum(1 / np.log2(rank + 2) for rank in range(min(20, len(wanted)))))
        recall.append(len(wanted & set(best)) / len(wanted))
    found = golden_metrics(SETTINGS)
    assert found.users == len(truth)
    assert found.popularity_ndcg == pytest.approx(np.mean(ndcg), abs=1e-12)
    assert found.popularity_recall == pytest.approx(np.mean(recall), abs=1e-12)


def test_the_archive_for_a_cluster_holds_the_data(tmp_path: Path) -> None:
    write_archive(tmp_path / "packages.zip")
    with zipfile.ZipFile(tmp_path / "packages.zip") as archive:
        content = archive.read(f"models/golden/{FILE}")
    assert pq.read_table(io.BytesIO(content)).equals(golden_table())
