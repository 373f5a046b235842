"""The daily partials of one product in a storage, written and read by Spark."""

import datetime as dt
import json
import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import DateType, StringType, StructField, StructType

from conf import contract
from conf.ids import IdKind, UserId
from features.reading.catalog import PartialRecord
from features.tables import spark_schema
from jobs.runtime.log import log
from jobs.storage.dataset_names import PARTIAL_RECORD as RECORD
from jobs.storage.dataset_names import days_among, folder_of
from jobs.storage.digests import digest_of_files, listing_of
from jobs.storage.store import Storage

_DIGEST = "sha256"
"""Key of the record that holds the digest of the day's files."""

_SAMPLED_GROUPS = 16
"""Row groups of a day that `some_users` reads at most."""


@dataclass(frozen=True)
class SparkPartials:
    """Implements `features.reading.catalog.PartialStore` as `<name>/dt=…/`: rows first, `_partial.json` last."""

    spark: Callable[[], SparkSession]
    at: Storage

    def finished(self, name: str, days: Collection[dt.date]) -> tuple[PartialRecord, ...]:
        """Returns the records of days whose files are unchanged; other days count as missing and are made again."""
        return tuple(record for record, sha256 in self._records(name, days) if self._holds(name, record.day, sha256))

    def recorded(self, name: str, days: Collection[dt.date]) -> tuple[PartialRecord, ...]:
        """Returns the records without checking the digests, which would read all files."""
        return tuple(record for record, _ in self._records(name, days))

    def stage(self, name: str, days: Collection[dt.date], frame: DataFrame) -> None:
        """Deletes the days, then writes all of them in one job; other days stay as they are."""
        for day in days:
            self.at.delete(f"{_folder(name, day)}/{RECORD}")  # first: a half-deleted day must not look finished
            self.at.delete(_folder(name, day))
        self.at.delete(f"{name}/_temporary")  # of a killed run
        writer = frame.write.mode("append").partitionBy("dt").option("compression", "zstd")
        writer.parquet(self.at.spark_path(name))

    def finish(self, name: str, records: Sequence[PartialRecord]) -> None:
        """Writes each day's record with the digest of the day's files."""
        for record in records:
            document = {**record.model_dump(mode="json", by_alias=True), _DIGEST: self._digest(name, record.day)}
            self.at.write_bytes(f"{_folder(name, record.day)}/{RECORD}", json.dumps(document, indent=1).encode())

    def read(self, name: str, days: Collection[dt.date], ids: IdKind) -> DataFrame:
        """Reads only the folders of these days; a day without rows has none."""
        fields = [*spark_schema(contract.daily_partials(ids)), StructField("left_out", StringType())]
        schema = StructType([*fields, StructField("dt", DateType())])
        there = sorted({*days} & {*_days_in(self.at, name)})
        if not there:
            return self.spark().createDataFrame([], schema)
        reader = self.spark().read.schema(schema).option("basePath", self.at.spark_path(name))
        return reader.parquet(*(self.at.spark_pattern(_folder(name, day)) for day in there))

    def some_users(self, name: str, day: dt.date, count: int) -> list[UserId]:
        """Returns users of about `count` rows from all over the day's files, in which rows may be sorted."""
        folder = _folder(name, day)
        paths = [f"{folder}/{file}" for file, _, _ in listing_of(self.at, folder)]
        groups = [(path, i) for path in paths for i in range(self._row_groups(path))]
        chosen = groups[:: math.ceil(len(groups) / _SAMPLED_GROUPS) or 1]
        return [user for group in chosen for user in self._users(*group, count // len(chosen) + 1)]

    def prune(self, name: str, before: dt.date) -> None:
        """Deletes days before `before`, their record first."""
        for day in _days_in(self.at, name):
            if day < before:
                self.at.delete(f"{_folder(name, day)}/{RECORD}")
                self.at.delete(_folder(name, day))

    def _row_groups(self, path: str) -> int:
        with self.at.open(path) as stream:
            return int(pq.read_metadata(stream).num_row_groups)

    def _users(self, path: str, group: int, count: int) -> list[UserId]:
        """Returns users of about `count` rows at equal distances in a row group."""
        with self.at.open(path) as stream:
            users = pq.ParquetFile(stream).read_row_group(group, columns=["user_id"])["user_id"].drop_null()
        places = pa.array(range(0, len(users), max(1, len(users) // count)), pa.int64())
        return cast("list[UserId]", users.take(places).to_pylist())

    def _records(self, name: str, days: Collection[dt.date]) -> Iterator[tuple[PartialRecord, str | None]]:
        """Yields each readable record with its digest."""
        for day in sorted({*days} & {*_days_in(self.at, name)}):
            try:
                document = json.loads(self.at.read_bytes(f"{_folder(name, day)}/{RECORD}"))
                sha256 = document.pop(_DIGEST, None)
                record = PartialRecord.model_validate(document)
            except (FileNotFoundError, ValueError, AttributeError, TypeError):
                continue
            yield record, sha256

    def _holds(self, name: str, day: dt.date, sha256: str | None) -> bool:
        """Returns whether the day's files are those of its record."""
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
