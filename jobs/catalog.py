"""The datasets and daily partials of one product in a storage: footers by pyarrow, rows by Spark."""

import datetime as dt
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyarrow import types as t
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as sf
from pyspark.sql.pandas.types import from_arrow_type
from pyspark.sql.types import DataType, DateType, LongType, StringType, StructField, StructType, TimestampType

from conf import contract
from conf.contract import IdKind, UserId
from conf.datasets import Dataset
from features.catalog import PartialRecord, PartialStore, Partition, Partitions
from features.schema import quoted, spark_schema
from jobs.dataset_names import days_among, folder_of
from jobs.digests import digest_of_files, listing_of
from jobs.footers import Footers
from jobs.log import log
from jobs.storage import Storage

RECORD = "_partial.json"
"""Marker of a finished day of partials: its record. Spark ignores names that start with _."""

_DIGEST = "sha256"
"""Key under which the record's file holds the digest of the day's files."""
_LOCAL_AS_IT_IS = {
    "fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
    "fs.file.impl.disable.cache": "true",
}
"""Spark's usual local file system looks for checksums beside a file: it would refuse one that was written anew without
Spark, and a name with a colon."""


@dataclass(frozen=True)
class SparkCatalog:
    """Implements `features.catalog.Catalog`; the session is made when the first row is read, not for a dry run."""

    spark: Callable[[], SparkSession]
    data: Storage
    partials_at: Storage
    erased: Collection[UserId] = ()

    @property
    def partials(self) -> PartialStore:
        """The daily partials below `partials_at`."""
        return SparkPartials(self.spark, self.partials_at)

    def days(self, dataset: Dataset) -> tuple[dt.date, ...]:
        """Days with a folder `dt=YYYY-MM-DD`; other names are none of ours."""
        return Footers(self.data).days(dataset)

    def partitions(self, dataset: Dataset, days: Collection[dt.date]) -> Partitions:
        """Opens the footers of the days asked for, and nothing else."""
        return Footers(self.data).partitions(dataset, days)

    def read(self, dataset: Dataset, partitions: Sequence[Partition], columns: Sequence[str]) -> DataFrame:
        """Exactly the files whose footers were read; those of one physical schema together."""
        at, groups = self.data.child(dataset.path), dict[pa.Schema, list[str]]()
        for file in (file for partition in partitions for file in partition.files):
            schema = pa.schema([file.schema.field(name) for name in columns if name in file.schema.names])
            groups.setdefault(schema, []).append(at.spark_pattern(file.path))
        frames = [self._read_alike(at, schema, files, columns) for schema, files in groups.items()]
        if not frames:
            empty = StructType([*(StructField(name, StringType()) for name in columns), StructField("dt", DateType())])
            return self.spark().createDataFrame([], empty)
        together = frames[0]
        for frame in frames[1:]:
            together = together.unionByName(frame)
        return together

    def _read_alike(self, at: Storage, schema: pa.Schema, files: list[str], columns: Sequence[str]) -> DataFrame:
        spark = self.spark()
        spark.conf.set("spark.sql.legacy.parquet.nanosAsLong", "true")  # else Spark refuses nanoseconds altogether
        fields = [StructField(field.name, _stored(field.type)) for field in schema]
        reader = spark.read.schema(StructType([*fields, StructField("dt", DateType())])).options(**_LOCAL_AS_IT_IS)
        raw = reader.option("basePath", at.spark_path()).parquet(*files)
        return raw.select(*(_column(schema, name) for name in columns), "dt")


@dataclass(frozen=True)
class SparkPartials:
    """Implements `features.catalog.PartialStore` as `<name>/dt=…/`: rows first, `_partial.json` last."""

    spark: Callable[[], SparkSession]
    at: Storage

    def finished(self, name: str, days: Collection[dt.date]) -> tuple[PartialRecord, ...]:
        """Records of the days that have one and are as it says; any other counts as none, and its day is made again."""
        return tuple(record for record, sha256 in self._said(name, days) if self._holds(name, record.day, sha256))

    def noted(self, name: str, days: Collection[dt.date]) -> tuple[PartialRecord, ...]:
        """Reads the records alone; the digest of a day's files would read all of it."""
        return tuple(record for record, _ in self._said(name, days))

    def stage(self, name: str, days: Collection[dt.date], frame: DataFrame) -> None:
        """Deletes the days, then writes all of them in one job; other days are not touched."""
        for day in days:
            self.at.delete(f"{_folder(name, day)}/{RECORD}")  # first: a day half deleted must not look finished
            self.at.delete(_folder(name, day))
        self.at.delete(f"{name}/_temporary")  # of a killed run
        balanced = frame.hint("rebalance", "dt")  # few files per day, and no day in one task however large
        writer = balanced.write.mode("append").partitionBy("dt").option("compression", "zstd")
        writer.parquet(self.at.spark_path(name))

    def finish(self, name: str, records: Sequence[PartialRecord]) -> None:
        """Writes each day's record, and with it the digest of the day's files."""
        for record in records:
            said = {**record.model_dump(mode="json"), _DIGEST: self._digest(name, record.day)}
            self.at.write_bytes(f"{_folder(name, record.day)}/{RECORD}", json.dumps(said, indent=1).encode())

    def read(self, name: str, days: Collection[dt.date], ids: IdKind) -> DataFrame:
        """Opens the folders of these days only; a day without rows has none."""
        fields = [*spark_schema(contract.daily_partials(ids)), StructField("left_out", StringType())]
        schema = StructType([*fields, StructField("dt", DateType())])
        there = sorted({*days} & {*_days_in(self.at, name)})
        if not there:
            return self.spark().createDataFrame([], schema)
        reader = self.spark().read.schema(schema).option("basePath", self.at.spark_path(name))
        return reader.parquet(*(self.at.spark_pattern(_folder(name, day)) for day in there))

    def prune(self, name: str, before: dt.date) -> None:
        """Deletes older days, their record first."""
        for day in _days_in(self.at, name):
            if day < before:
                self.at.delete(f"{_folder(name, day)}/{RECORD}")
                self.at.delete(_folder(name, day))

    def _said(self, name: str, days: Collection[dt.date]) -> Iterator[tuple[PartialRecord, str | None]]:
        """Each record that can be read, with the digest that it holds."""
        for day in sorted({*days} & {*_days_in(self.at, name)}):
            try:
                said = json.loads(self.at.read_bytes(f"{_folder(name, day)}/{RECORD}"))
                sha256 = said.pop(_DIGEST, None)
                record = PartialRecord.model_validate(said)
            except (FileNotFoundError, ValueError, AttributeError, TypeError):
                continue
            yield record, sha256

    def _holds(self, name: str, day: dt.date, sha256: str | None) -> bool:
        """Whether the day's files are those of its record."""
        if sha256 == self._digest(name, day):
            return True
        if sha256 is not None:  # older code kept none
            log.warning("warning   partials of %s, %s: changed since they were made; they are made again", name, day)
        return False

    def _digest(self, name: str, day: dt.date) -> str:
        folder = _folder(name, day)
        return digest_of_files(self.at, folder, listing_of(self.at, folder))


def _days_in(storage: Storage, path: str) -> tuple[dt.date, ...]:
    return days_among(storage.files(path))


def _folder(name: str, day: dt.date) -> str:
    return f"{name}/{folder_of(day)}"


def _stored(type_: pa.DataType) -> DataType:
    """The Spark type under which a column is opened; Spark widens integers by itself."""
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
