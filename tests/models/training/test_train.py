"""Training from Parquet, and its refusals."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from conf import contract
from conf.ids import IdKind
from conf.training import AlsSettings
from models.errors import BadInteractions, TrainMemoryError
from models.training import factor_table
from models.training.als_trainer import AlsTrainer
from models.training.confidences import Constants
from models.training.train import train
from models.training.trainer import OnIteration, Trained, TrainingData
from models.training.trainers import TRAINERS
from models.training.warm import WarmStart
from tests.models.worlds import factor_tables, interactions_of, planted, written

SETTINGS = AlsSettings(factors=8, iterations=3, threads=1)


def rows_of_world(seed: int) -> list[tuple[int, int, float]]:
    weights, _ = planted(users=40, sources=25, seed=seed)
    return [(int(u), int(s), 1.0) for u, s in zip(*weights.nonzero(), strict=True)]


@pytest.mark.parametrize("kind", ["int64", "string"])
def test_embeddings_come_out_as_tables_of_the_contract(
    tmp_path: Path, kind: IdKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(factor_table, "_BATCH_BYTES", 7 * 4 * 8)  # seven rows of eight factors
    rows = rows_of_world(1)
    found = train(written(tmp_path, interactions_of(rows, kind)), SETTINGS, kind)
    users = pa.Table.from_batches(found.user_batches())
    sources = pa.Table.from_batches(found.source_batches())
    assert users.schema == contract.user_factors(kind)
    assert sources.schema == contract.source_factors(kind)
    assert users["user_id"].combine_chunks().equals(found.users.to_arrow())
    assert max(batch.num_rows for batch in users.to_batches()) == 7
    assert np.array_equal(np.array(users["factors"].to_pylist(), np.float32), found.user_factors)
    assert np.array_equal(np.array(sources["factors"].to_pylist(), np.float32), found.source_factors)
    assert found.stats.interactions == len(rows)
    assert found.stats.to_json()["users"] == len(found.users) == len({user for user, _, _ in rows})


def test_training_again_gives_the_same_bits(tmp_path: Path) -> None:
    dataset = written(tmp_path, interactions_of(rows_of_world(2)))
    first, again = train(dataset, SETTINGS, "int64"), train(dataset, SETTINGS, "int64")
    assert np.array_equal(first.user_factors, again.user_factors)
    assert np.array_equal(first.source_factors, again.source_factors)


def test_what_the_stats_tell_outlives_json(tmp_path: Path) -> None:
    found = train(written(tmp_path, interactions_of(rows_of_world(1))), SETTINGS, "int64")
    told = json.loads(json.dumps(found.stats.to_json()))
    assert (told["started"], told["cold_reason"], told["kept_users"]) == ("cold", None, 0)
    assert (told["new_users"], told["new_sources"]) == (len(found.users), len(found.sources))
    assert len(told["iteration_seconds"]) == SETTINGS.iterations
    assert Constants(**told["constants"]) == found.stats.constants


class FromNothing(AlsTrainer):
    """A trainer that takes no former factors."""

    def fit(self, data: TrainingData, settings: AlsSettings, start: object, on_iteration: OnIteration) -> Trained:
        made = super().fit(data, settings, None, on_iteration)
        return Trained(made.user_factors, made.source_factors, made.iterations)


def test_a_trainer_without_starts_tells_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = written(tmp_path, interactions_of(rows_of_world(1)))
    first = train(dataset, SETTINGS, "int64")
    monkeypatch.setitem(TRAINERS, "als", FromNothing())
    again = train(dataset, SETTINGS, "int64", start=WarmStart(*factor_tables(first)))
    assert np.array_equal(first.user_factors, again.user_factors)
    assert again.stats.started == "cold"
    assert again.stats.cold_reason == "the trainer cannot start from earlier factors"
    assert again.stats.to_json()["constants"] is None  # which a refresh asks for


def test_nothing_to_train_on_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadInteractions, match="no interactions"):
        train(written(tmp_path, interactions_of([])), SETTINGS, "int64")


def test_too_much_is_refused_with_what_to_do(tmp_path: Path) -> None:
    dataset = written(tmp_path, interactions_of(rows_of_world(1)))
    with pytest.raises(TrainMemoryError, match=r"train\.max_memory allows 1 MiB.*train\.factors.*windows"):
        train(dataset, SETTINGS.model_copy(update={"max_memory": 2**20}), "int64")
