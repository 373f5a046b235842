"""What files and columns Spark cannot read, told from footers."""

import pyarrow as pa
import pytest

from features.errors import SchemaError
from features.reading.catalog import DataFile, DayPartition
from features.reading.schema import TEXT, TIME, Field, check_fields
from tests.features.world import ago


def day(*columns: str, **undecodable: str) -> DayPartition:
    """A day of one file with these columns, all of them text."""
    schema = pa.schema([(name, pa.string()) for name in columns])
    return DayPartition(ago(1), (DataFile("dt=d/f.parquet", 1, 1, schema, undecodable),), "f")


@pytest.mark.parametrize(
    ("part", "told"),
    [
        (day("what", "WHAT"), "'what' is there as 'WHAT' too, which Spark cannot distinguish; rename one"),
        (day("what", "what"), "'what' is there 2 times; write it once"),
        (day("what", "x", what="BROTLI"), "'what' is compressed by BROTLI, which Spark cannot undo; write it by zstd"),
    ],
)
def test_columns_that_spark_cannot_read(part: DayPartition, told: str) -> None:
    with pytest.raises(SchemaError, match=rf"'clicks'.*dt=d/f.parquet: column {told}"):
        check_fields("clicks", [Field("event", "what", TEXT)], [day("what"), part])


def test_other_columns_may_be_as_they_are() -> None:
    wanted = (Field("event", "what", TEXT), Field("label", "none", TEXT, required=False))
    part = day("what", "x", "X", "ı", "I", y="BROTLI")
    assert check_fields("clicks", wanted, [part]) == wanted[:1]


@pytest.mark.parametrize("column", ["dt", "DT"])
def test_the_name_of_the_partitions_is_no_column(column: str) -> None:
    with pytest.raises(SchemaError, match="has the name of the partitions, which Spark reads instead"):
        check_fields("clicks", [Field("ts", column, TIME)], [day(column)])
    assert check_fields("clicks", [Field("event", "what", TEXT)], [day("what", column)])
