"""The whole stage over Parquet folders, string ids, twice."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession

from features.build import build_features
from jobs.catalog import SparkCatalog
from jobs.storage import Storage
from tests.features.world import AS_OF, ago, at, settings, table


def rows(frame: DataFrame, *columns: str) -> list[Any]:
    """Sorted tuples of the columns."""
    return sorted(tuple(row) for row in frame.select(*columns).collect())


def test_strings_as_ids_over_files_and_again_next_week(spark: SparkSession, tmp_path: Path) -> None:
    schema = pa.schema(
        [("user_id", pa.string()), ("source_id", pa.string()), ("event", pa.string()), ("ts", pa.timestamp("ns"))]
    )
    for days in (1, 2, 3, 4):
        folder = tmp_path / f"data/clicks/dt={ago(days)}"
        folder.mkdir(parents=True)
        noon = at(ago(days)).replace(tzinfo=None)
        pq.write_table(table(schema, ("ü", "s1", "like", noon), ("u2", f"s{days}", "like", noon)), folder / "a.parquet")
        (folder / "_SUCCESS").touch()
    wanted = settings().model_copy(update={"ids": "string"})
    catalog = SparkCatalog(lambda: spark, Storage(str(tmp_path / "data")), Storage(str(tmp_path / "partials")))
    first = build_features(wanted, AS_OF, catalog)
    second = build_features(wanted, AS_OF, catalog)
    assert first.inputs[0].partials_reused == ()
    assert second.inputs[0].partials_rebuilt == ()
    expected = [("u2", "s1", 0.5), ("u2", "s2", 0.25), ("u2", "s3", 0.125), ("ü", "s1", 0.875)]
    for built in (first, second):
        assert rows(built.interactions, "user_id", "source_id", "weight") == expected
        built.release()
