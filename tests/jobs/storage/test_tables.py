"""A run's tables keep their contract and are written once."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from conf import contract
from jobs.storage.bound_folder import BoundFolder, ChangedSince
from jobs.storage.errors import NotFinished, StorageError
from jobs.storage.store import Storage
from jobs.storage.tables import Tables
from tests.support.odd_names import ODD

SCHEMA = contract.holdout("int64")


@pytest.fixture
def tables(spark: SparkSession, tmp_path: Path) -> Tables:
    return Tables(spark, Storage(str(tmp_path / ODD)))


def test_columns_are_those_of_the_contract(tables: Tables, spark: SparkSession, tmp_path: Path) -> None:
    frame = spark.createDataFrame([("x", 0.5, 7, 1)], "extra string, weight double, source_id bigint, user_id bigint")
    assert tables.write("holdout", frame, SCHEMA) == 1
    assert Storage(str(tmp_path / ODD)).table("holdout").to_table().to_pylist() == [
        {"user_id": 1, "source_id": 7, "weight": 0.5}
    ]
    assert tables.read("holdout").columns == SCHEMA.names


@pytest.mark.parametrize("ddl", ["user_id int, source_id bigint, weight double", "user_id bigint, weight double"])
def test_another_type_or_no_such_column_is_refused(tables: Tables, spark: SparkSession, ddl: str) -> None:
    frame = spark.createDataFrame([], ddl)
    with pytest.raises(StorageError, match=r"'holdout' does not keep its contract.*bigint"):
        tables.write("holdout", frame, SCHEMA)
    with pytest.raises(NotFinished):
        tables.read("holdout")


def test_a_finished_table_stays_and_an_unfinished_one_is_replaced(
    tables: Tables, spark: SparkSession, tmp_path: Path
) -> None:
    ddl = "user_id bigint, source_id bigint, weight double"
    (tmp_path / ODD / "holdout").mkdir(parents=True)
    (tmp_path / ODD / "holdout/part-9.parquet").write_bytes(b"of a killed attempt")
    one = spark.createDataFrame([(1, 7, 0.5), (2, 7, 0.5)], ddl)
    assert tables.write("holdout", one, SCHEMA) == 2
    assert tables.write("holdout", one.limit(1), SCHEMA) == 2
    assert tables.read("holdout").count() == 2


def test_lists_of_a_run_fit_their_contract(tables: Tables, spark: SparkSession) -> None:
    schema = contract.lists("string")
    rows = pa.Table.from_pylist(
        [{"user_id": "u", "source_ids": ["s"], "scores": [1.0], "personal": True}], schema=schema
    )
    assert tables.write("lists", spark.createDataFrame(rows), schema) == 1


def test_who_was_erased_since_is_left_out_but_of_what_was_announced(spark: SparkSession, tmp_path: Path) -> None:
    written = Tables(spark, Storage(str(tmp_path)))
    pairs = [(1, 7, 0.5), (2, 7, 0.5), (2, 8, 0.5)]
    written.write("holdout", spark.createDataFrame(pairs, "user_id bigint, source_id bigint, weight double"), SCHEMA)
    schema = contract.snapshot("int64")
    row = {"partition": 0, "source_ids": [7], "scores": [1.0]}
    whole = pa.Table.from_pylist([{**row, "seq": seq, "user_id": seq + 1} for seq in range(2)], schema=schema)
    written.write("snapshot", spark.createDataFrame(whole), schema)
    later = Tables(spark, Storage(str(tmp_path)), {2})
    assert [row["user_id"] for row in later.read("holdout").collect()] == [1]
    assert sorted(row["user_id"] for row in later.read("snapshot").collect()) == [1, 2]


def test_a_table_is_bound_the_moment_it_is_finished(spark: SparkSession, tmp_path: Path) -> None:
    frame = spark.createDataFrame([(1, 7, 0.5), (2, 7, 0.5)], "user_id bigint, source_id bigint, weight double")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BoundFolder, "finish", lambda *_: pytest.fail("killed here"))
        with pytest.raises(pytest.fail.Exception):
            Tables(spark, folder_of(tmp_path)).write("holdout", frame, SCHEMA)
    assert list(tmp_path.glob("holdout/*.parquet"))
    assert not folder_of(tmp_path).finished("holdout"), "Spark writes no marker of its own"
    assert Tables(spark, folder_of(tmp_path)).write("holdout", frame, SCHEMA) == 2
    assert Tables(spark, folder_of(tmp_path)).read("holdout").count() == 2
    (file, *_) = sorted(tmp_path.glob("holdout/*.parquet"))
    pq.write_table(pq.read_table(file).slice(1), file)
    with pytest.raises(ChangedSince, match="'holdout'"):
        Tables(spark, folder_of(tmp_path)).read("holdout")


def folder_of(at: Path) -> BoundFolder:
    folder = BoundFolder(str(at), "20261116T030000Z-20261116-1", {}, remedy="start a new run")
    folder.begin("features")
    return folder
