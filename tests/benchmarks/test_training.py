"""The benchmark of training: its table, and its cheap parts on the small world; never what a figure is."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from benchmarks.training.__main__ import main
from benchmarks.training.aggregation import compare
from benchmarks.training.errors import TrainingBenchError
from benchmarks.training.matrix_side import digest_of, our_matrix, pandas_matrix
from benchmarks.training.plan import generated_events
from benchmarks.training.row import as_good, share_of, table, times_faster, within


def test_a_goal_is_met_on_its_own_side() -> None:
    rows = [
        times_faster("a", "s", [1.0, 2.0, 9.0], [20.0], "slow", 10),
        times_faster("b", "s", [2.0], [19.0], "slow", 10),
        share_of("c", "MB", [10.0], [40.0], "large", 0.25),
        share_of("d", "MB", [11.0], [40.0], "large", None),
        as_good("e", 0.98, 1.0, "cold", 0.99),
        within("f", "s", [3.0, 1.0, 2.0], 1.5),
    ]
    assert [row.met for row in rows] == [True, False, True, None, False, False]
    assert [row.ratio for row in rows] == [10, 9.5, 0.25, 0.275, 0.98, 2]
    assert rows[0].result()["ours_rounds"] == (1.0, 2.0, 9.0)
    told = table(rows).splitlines()
    assert told[1].split() == ["a", "2", "20", "s", "10", "≥", "10", "yes", "slow"]
    assert told[4].split() == ["d", "11", "40", "MB", "0.275", "large"]
    assert told[6].split() == ["f", "2", "s", "2", "≤", "1.5", "no"]


def test_the_small_world_gives_a_row_for_each_figure(spark: SparkSession, capsys: pytest.CaptureFixture[str]) -> None:
    only = ["warm", "iterations", "aggregation"]
    assert main(["--quick", "--rounds", "1", "--only", *only, "--json"], lambda: spark) == 0
    *_, said = capsys.readouterr().out.splitlines()
    result = json.loads(said)
    assert result["quick"]
    rows = result["rows"]
    assert [row["name"].strip()[:12] for row in rows] == [
        "warm start: ",
        "NDCG@20 afte",
        "ALS iteratio",
        *("0.0 M events", "beside DuckD", "from kept pa"),
        *("0.2 M events", "beside DuckD", "from kept pa"),
    ]
    # Spark's iteration is the difference of two fits, which on a busy machine can be less than nothing.
    whole = [row for row in rows if not row["name"].startswith("ALS iteration")]
    assert all(row["ours"] > 0 for row in rows)
    assert all(row["rival"] > 0 and row["ratio"] > 0 for row in whole)
    assert rows[1]["ratio"] > 0.5  # a warm start goes on from something
    assert rows[3]["met"] == (rows[3]["ratio"] <= rows[3]["goal"])
    assert [row["goal"] for row in rows[3:]] == [1.5, None, None, None, 5, None]


def test_both_sides_make_the_same_matrix(spark: SparkSession, tmp_path: Path) -> None:
    pairs = generated_events().group_by(["user_id", "source_id"]).aggregate([("ts", "count")])
    pairs = pairs.sort_by([("user_id", "ascending"), ("source_id", "ascending")])
    weights = pairs["ts_count"].cast(pa.float64())
    path = tmp_path / "part-0.parquet"
    pq.write_table(pa.table({"user_id": pairs["user_id"], "source_id": pairs["source_id"], "weight": weights}), path)
    ours, others = our_matrix(str(path)), pandas_matrix(str(path), spark)
    assert ours.nnz == len(pairs)
    assert digest_of(ours) == digest_of(others)
    others.data[0] += 1
    assert digest_of(ours) != digest_of(others)


def test_interactions_that_differ_stop_the_benchmark() -> None:
    one = pa.table({"user_id": [1, 1], "source_id": [3, 4], "last_ts": [5, 6], "weight": [1.0, 0.5]})
    compare(one, one.set_column(3, "weight", pa.array([1.0, 0.5 + 1e-9])))
    for other in (
        one.set_column(3, "weight", pa.array([1.0, 0.51])),
        one.set_column(2, "last_ts", pa.array([5, 7])),
        one.slice(1),
    ):
        with pytest.raises(TrainingBenchError, match="differ"):
            compare(one, other)


def test_missing_data_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "warm", "--data-root", str(tmp_path)]) == 1
    assert "deck_cards.parquet is missing" in capsys.readouterr().err
