"""The datasets and daily partials of one product in a storage: footers by pyarrow, rows by Spark."""

import datetime as dt
import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs
from pyarrow import types as t
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as sf
from pyspark.sql.pandas.types import from_arrow_type
from pyspark.sql.types import DataType, DateType, LongType, StringType, StructField, StructType, TimestampType

from conf import contract
from conf.contract import IdKind, UserId
from conf.datasets import Dataset
from features.catalog import DataFile, PartialRecord, PartialStore, Partition, Partitions
from features.errors import BrokenPartitionError, MissingDatasetError
from features.schema import plain_schema, quoted, spark_schema
from jobs.digests import digest_of_files, listing_of
from jobs.log import log
from jobs.storage import Storage

RECORD = "_partial.json"
"""Marker of a finished day of partials: its record. Spark ignores names that start with _."""

_DIGEST = "sha256"
"""Key under which the record's file holds the digest of the day's files."""
_FOLDER = re.compile(r"dt=(\d{4}-\d{2}-\d{2})")
_FOOTER_READERS = 8  # footers are small: on an object store the waiting counts, not the bytes


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
        at = self._at(dataset)
        if not at.exists(""):
            raise MissingDatasetError(
                f"dataset folder {dataset.path!r} does not exist: {at.uri}; correct the path or run its export"
            )
        return _days_in(at, "")

    def partitions(self, dataset: Dataset, days: Collection[dt.date]) -> Partitions:
        """Opens the footers of the days asked for, and nothing else."""
        finished, unfinished = [], []
        with ThreadPoolExecutor(_FOOTER_READERS) as pool:
            for day in sorted({*days} & {*self.days(dataset)}):
                listed = self._at(dataset).files(_folder("", day))
                if dataset.success_marker not in (None, *(info.base_name for info in listed)):
                    unfinished.append(day)
                    continue
                infos = [info for info in listed if _is_data(info, dataset)]
                files = tuple(pool.map(lambda info, day=day: self._file(dataset, day, info), infos))
                finished.append(Partition(day, files, _fingerprint(infos, files)))
        return Partitions(tuple(finished), tuple(unfinished))

    def read(self, dataset: Dataset, partitions: Sequence[Partition], columns: Sequence[str]) -> DataFrame:
        """Exactly the files whose footers were read; those of one physical schema together."""
        groups: dict[pa.Schema, list[str]] = {}
        for file in (file for partition in partitions for file in partition.files):
            schema = pa.schema([file.schema.field(name) for name in columns if name in file.schema.names])
            groups.setdefault(schema, []).append(self._at(dataset).spark_path(file.path))
        frames = [self._read_alike(dataset, schema, files, columns) for schema, files in groups.items()]
        if not frames:
            empty = StructType([*(StructField(name, StringType()) for name in columns), StructField("dt", DateType())])
            return self.spark().createDataFrame([], empty)
        together = frames[0]
        for frame in frames[1:]:
            together = together.unionByName(frame)
        return together

    def _at(self, dataset: Dataset) -> Storage:
        """The dataset's folder, which may lie outside of `data`."""
        return self.data.child(dataset.path)

    def _read_alike(self, dataset: Dataset, schema: pa.Schema, files: list[str], columns: Sequence[str]) -> DataFrame:
        spark = self.spark()
        spark.conf.set("spark.sql.legacy.parquet.nanosAsLong", "true")  # else Spark refuses nanoseconds altogether
        fields = [StructField(field.name, _stored(field.type)) for field in schema]
        reader = spark.read.schema(StructType([*fields, StructField("dt", DateType())]))
        raw = reader.option("basePath", self._at(dataset).spark_path()).parquet(*files)
        return raw.select(*(_column(schema, name) for name in columns), "dt")

    def _file(self, dataset: Dataset, day: dt.date, info: fs.FileInfo) -> DataFile:
        path = f"{_folder('', day)}/{info.base_name}"
        where = f"dataset {dataset.path!r}: {path}"
        if info.type != fs.FileType.File:
            raise BrokenPartitionError(
                f"{where} is a folder, and only files are read; write them straight into the day"
            )
        try:
            with self._at(dataset).open(path) as stream:
                footer = pq.read_metadata(stream)
                schema = footer.schema.to_arrow_schema()
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
            raise BrokenPartitionError(
                f"{where} cannot be read as Parquet ({error}); it is truncated or no Parquet file: write the day again"
            ) from None
        return DataFile(path, footer.num_rows, info.size, plain_schema(_int96_as_micros(schema, footer)))


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
        return reader.parquet(*(self.at.spark_path(_folder(name, day)) for day in there))

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
    names = (info.base_name for info in storage.files(path) if info.type == fs.FileType.Directory)
    return tuple(sorted(day for name in names if (day := _day_of(name)) is not None))


def _day_of(folder: str) -> dt.date | None:
    found = _FOLDER.fullmatch(folder)
    try:
        return dt.date.fromisoformat(found[1]) if found else None
    except ValueError:  # dt=2026-02-31
        return None


def _folder(path: str, day: dt.date) -> str:
    return f"{path}/dt={day}".lstrip("/")


def _is_data(info: fs.FileInfo, dataset: Dataset) -> bool:
    """Names that start with _ or . are hidden, as in Spark."""
    return info.base_name[0] not in "_." and info.base_name != dataset.success_marker


def _fingerprint(infos: Sequence[fs.FileInfo], files: Sequence[DataFile]) -> str:
    facts = [
        (info.base_name, info.size, info.mtime_ns, file.rows, str(file.schema))
        for info, file in zip(infos, files, strict=True)
    ]
    return hashlib.sha256(json.dumps(sorted(facts)).encode()).hexdigest()[:32]


def _int96_as_micros(schema: pa.Schema, footer: pq.FileMetaData) -> pa.Schema:
    """Arrow shows Spark's and Hive's INT96 times as nanoseconds; Spark reads them as timestamps, unlike those."""
    columns = (footer.schema.column(i) for i in range(len(footer.schema)))
    int96 = {column.path for column in columns if column.physical_type == "INT96"}
    return pa.schema([field.with_type(pa.timestamp("us", "UTC")) if field.name in int96 else field for field in schema])


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
