"""Reads rows of a dataset's Parquet files by Spark, as plain types whatever tool wrote them."""

from collections.abc import Sequence

import pyarrow as pa
from pyarrow import types as t
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as sf
from pyspark.sql.pandas.types import from_arrow_type
from pyspark.sql.types import DataType, DateType, LongType, StringType, StructField, StructType, TimestampType

from features.reading.catalog import DayPartition
from features.tables import quoted, union_of
from jobs.storage.store import Storage

_LOCAL_AS_IT_IS = {
    "fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
    "fs.file.impl.disable.cache": "true",
}
"""Reads local files without checksums.

Spark's usual local file system looks for checksums beside a file: it would refuse a file that was written again without
Spark, and a name with a colon.
"""


def read_parquet(
    spark: SparkSession, at: Storage, partitions: Sequence[DayPartition], columns: Sequence[str]
) -> DataFrame:
    """Returns the columns and `dt` of exactly the files whose footers were read; those of one schema together."""
    groups = dict[pa.Schema, list[str]]()
    for file in (file for partition in partitions for file in partition.files):
        schema = pa.schema([file.schema.field(name) for name in columns if name in file.schema.names])
        groups.setdefault(schema, []).append(at.spark_pattern(file.path))
    frames = [_read_alike(spark, at, schema, files, columns) for schema, files in groups.items()]
    if not frames:
        empty = StructType([*(StructField(name, StringType()) for name in columns), StructField("dt", DateType())])
        return spark.createDataFrame([], empty)
    return union_of(frames)


def _read_alike(
    spark: SparkSession, at: Storage, schema: pa.Schema, files: list[str], columns: Sequence[str]
) -> DataFrame:
    spark.conf.set("spark.sql.legacy.parquet.nanosAsLong", "true")  # else Spark refuses nanoseconds altogether
    fields = [StructField(field.name, _stored(field.type)) for field in schema]
    reader = spark.read.schema(StructType([*fields, StructField("dt", DateType())])).options(**_LOCAL_AS_IT_IS)
    raw = reader.option("basePath", at.spark_path()).parquet(*files)
    return raw.select(*(_column(schema, name) for name in columns), "dt")


def _stored(type_: pa.DataType) -> DataType:
    """Returns the Spark type that a column is read as; Spark widens integers by itself."""
    if t.is_integer(type_) or _is_nanos(type_):
        return LongType()
    return TimestampType() if t.is_timestamp(type_) else from_arrow_type(type_)


def _column(schema: pa.Schema, name: str) -> Column:
    if name not in schema.names:
        return sf.lit(None).alias(name)
    if _is_nanos(schema.field(name).type):
        return sf.timestamp_micros(sf.call_function("div", quoted(name), sf.lit(1000))).alias(name)
    return quoted(name)


def _is_nanos(type_: pa.DataType) -> bool:
    return isinstance(type_, pa.TimestampType) and type_.unit == "ns"
