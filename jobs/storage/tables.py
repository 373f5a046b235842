"""The tables of a run in Spark: written once, as a whole, with the columns, types and order of their contract."""

from collections.abc import Collection

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from conf.ids import UserId
from features.reading.erasures import without_users
from jobs.storage.errors import StorageError
from jobs.storage.store import Storage

_AS_ANNOUNCED = "snapshot"
"""The one table that is read with erased users: it is sent as announced, and loaders leave these users out."""

_SPARKS_MARKER = "mapreduce.fileoutputcommitter.marksuccessfuljobs"
"""Setting that stops Spark from writing the marker, which the folder writes."""


class Tables:
    """The tables of one run's folder as DataFrames."""

    def __init__(self, spark: SparkSession, folder: Storage, erased: Collection[UserId] = ()) -> None:
        self._spark = spark
        self._folder = folder
        self._erased = erased

    def write(self, name: str, frame: DataFrame, schema: pa.Schema, row_group: int | None = None) -> int:
        """Writes a table and its marker, unless an earlier attempt did. Returns its rows. Raises StorageError.

        row_group: encoded bytes of a row group, fewer than Spark's default for tables that training streams.
        """
        if not self._folder.finished(name):
            self._folder.delete(name)
            writer = _checked(name, frame, schema).write.mode("overwrite").option(_SPARKS_MARKER, "false")
            if row_group is not None:
                writer = writer.option("parquet.block.size", row_group)
            writer.parquet(self._folder.spark_path(name))
            self._folder.finish(name)
        return int(self._folder.table(name).count_rows())

    def read(self, name: str) -> DataFrame:
        """Returns a finished table without users who were erased since. Raises NotFinished."""
        schema = from_arrow_schema(self._folder.table(name).schema)  # else Spark starts a job to find it
        frame = self._spark.read.schema(schema).parquet(self._folder.spark_pattern(name))
        if name == _AS_ANNOUNCED or "user_id" not in frame.columns:
            return frame
        return without_users(frame, self._erased)


def _checked(name: str, frame: DataFrame, schema: pa.Schema) -> DataFrame:
    wanted = {field.name: field.dataType.simpleString() for field in from_arrow_schema(schema).fields}
    found = {field.name: field.dataType.simpleString() for field in frame.schema.fields}
    if wrong := {column: kind for column, kind in wanted.items() if found.get(column) != kind}:
        raise StorageError(f"table {name!r} does not keep its contract: expected {wrong}, found {found}")
    return frame.select(*wanted)
