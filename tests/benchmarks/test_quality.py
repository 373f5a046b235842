"""The quality benchmark on a tiny world: the protocol, its lists, and tables that it refuses."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest

from benchmarks.quality.__main__ import main
from benchmarks.quality.split import read_split
from tests.models.worlds import planted


def _world(*, strings: bool = False, valid: bool = False) -> pa.Table:
    """Planted tastes, each interaction drawn for train or test (or valid); one user has test rows only."""
    users, sources = planted(users=200, sources=60, seed=4)[0].nonzero()
    names = ["train", "test", "valid"] if valid else ["train", "test"]
    shares = [0.7, 0.2, 0.1] if valid else [0.8, 0.2]
    split = np.random.default_rng(1).choice(names, len(users), p=shares)
    split[users == 7] = "test"
    ids = [pa.array(side) if not strings else pa.array([f"{n:04d}" for n in side]) for side in (users, sources)]
    return pa.table({"user_id": ids[0], "item_id": ids[1], "split": split})


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """The world as a file."""
    pq.write_table(_world(), tmp_path / "world.parquet")
    return tmp_path / "world.parquet"


def _judged(capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, Any]:
    assert main([*argv, "--json"]) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return result


@pytest.mark.parametrize(("strings", "valid"), [(False, False), (True, True)])
def test_ours_beats_popularity_where_tastes_are_planted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], strings: bool, valid: bool
) -> None:
    path = tmp_path / "world.parquet"
    pq.write_table(_world(strings=strings, valid=valid), path)
    result = _judged(capsys, "world", "--data", str(path), "--dims", "8", "--k", "5")
    assert result["train"]["factors"] == 8
    assert result["shipped_defaults"]["recall"] > 0
    assert result["ours"]["recall"] > 1.5 * result["popularity"]["recall"]
    assert result["ours"]["ndcg"] > 1.5 * result["popularity"]["ndcg"]


def test_csv_and_parquet_give_the_same(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    csv.write_csv(_world(), tmp_path / "world.csv")
    results = [_judged(capsys, "world", "--data", str(path), "--defaults") for path in (table, tmp_path / "world.csv")]
    for result in results:
        for arm in ("ours", "item_kNN", "popularity"):
            del result[arm]["seconds"]
    assert results[0] == results[1]


def test_the_lists_written_have_the_metrics_printed(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "lists.parquet"
    result = _judged(capsys, "world", "--data", str(table), "--defaults", "--lists-out", str(out), "--k", "5")
    rows = _world().to_pylist()
    train, test = ({(row["user_id"], row["item_id"]) for row in rows if row["split"] == s} for s in ("train", "test"))
    lists = {row["user_id"]: row["source_ids"] for row in pq.read_table(out).to_pylist()}
    assert lists.keys() == {user for user, _ in test}  # user 7, of whom nothing was known, among them
    assert all((user, source) not in train for user, sources in lists.items() for source in sources)
    assert all(len(set(sources)) == len(sources) for sources in lists.values())
    recalls = [
        sum((user, source) in test for source in sources[:5]) / sum(known == user for known, _ in test)
        for user, sources in lists.items()
    ]
    assert result["ours"]["recall"] == pytest.approx(np.mean(recalls))


def test_recipes_are_chosen_without_the_test_part(table: Path) -> None:
    split = read_split(table, "world", 5)
    train = set(zip(*split.final.train.select(["user_id", "source_id"]).to_pydict().values(), strict=True))
    known = set(zip(*split.tuning.train.select(["user_id", "source_id"]).to_pydict().values(), strict=True))
    truth = set(zip(*split.tuning.truth.to_pydict().values(), strict=True))
    assert known | truth == train
    assert not known & truth
    assert 0.05 * len(train) < len(truth) < 0.15 * len(train)


def test_a_search_is_not_worse_than_what_it_starts_with(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["world", "--data", str(table), "--dims", "4", "--tune", "3", "--k", "5", "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    trials = [float(line.split()[1]) + float(line.split()[2]) for line in lines if line[:3].strip().isdigit()]
    assert len(trials) == 3
    assert "alpha 0.5 regularization 0.5" in lines[0]  # the shipped settings are the first trial
    chosen = json.loads(lines[-1])["train"]
    best = lines[int(np.argmax(trials))]
    assert f"iterations {chosen['iterations']}" in best


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop_columns(["item_id"]), "lacks item_id"),
        (lambda t: t.set_column(2, "split", pa.array(["train"] * (len(t) - 1) + ["dev"])), "split = dev"),
        (lambda t: t.filter(pa.compute.not_equal(t["split"], "test")), "no rows with split = test"),
        (lambda t: t.filter(pa.compute.equal(t["split"], "test")), "no rows with split = train"),
        (lambda t: t.set_column(0, "user_id", pa.array([None, *range(len(t) - 1)])), "1 rows without user_id"),
        (lambda t: t.set_column(0, "user_id", pa.array(np.linspace(0, 1, len(t)))), "ids are integers or strings"),
        (lambda t: t.append_column("weight", pa.array(np.zeros(len(t)))), "not positive"),
    ],
)
def test_a_table_that_cannot_be_judged_by_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Any, message: str
) -> None:
    pq.write_table(change(_world()), tmp_path / "bad.parquet")
    assert main(["world", "--data", str(tmp_path / "bad.parquet")]) == 2
    assert message in capsys.readouterr().err


def test_what_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["world"]) == 2
    assert "give its table with --data" in capsys.readouterr().err
    assert main(["gowalla", "--data", str(tmp_path)]) == 2
    assert "gowalla.parquet is missing" in capsys.readouterr().err
    (tmp_path / "no.parquet").write_text("no")
    assert main(["world", "--data", str(tmp_path / "no.parquet")]) == 2
    assert "neither Parquet nor" in capsys.readouterr().err
