"""Protocols by which features access tables; implemented in `jobs/storage/`, for tests in `tests/features/fakes.py`."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa
from pydantic import AliasChoices, Field

from conf.base import Strict
from conf.datasets import Dataset
from conf.ids import IdKind, UserId

if TYPE_CHECKING:
    from pyspark.sql import DataFrame  # so that a dry run starts without Spark


@dataclass(frozen=True)
class DataFile:
    """One Parquet file, as described by its footer; `schema` has plain types (see `features.reading.plain_types`)."""

    path: str
    """Relative to the dataset's folder, e.g. dt=2026-11-15/part-0.parquet."""
    rows: int
    bytes: int
    schema: pa.Schema
    undecodable: Mapping[str, str] = field(default_factory=dict)
    """Column → its compression, for columns that Spark cannot decompress."""


@dataclass(frozen=True)
class DayPartition:
    """One finished day of a dataset."""

    day: dt.date
    files: tuple[DataFile, ...]
    fingerprint: str
    """Changes when a file is added, removed, rewritten or touched."""

    @property
    def rows(self) -> int:
        """Rows of all files, from their footers."""
        return sum(file.rows for file in self.files)

    @property
    def bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.bytes for file in self.files)


@dataclass(frozen=True)
class DayPartitions:
    """The requested days that exist, oldest first."""

    finished: tuple[DayPartition, ...]
    unfinished: tuple[dt.date, ...]
    """Days with a folder but without its success marker."""
    misnamed: Mapping[dt.date, str] = field(default_factory=dict)
    """Day → a folder that looks like that day but is not called dt=YYYY-MM-DD."""
    excluded: Mapping[dt.date, str] = field(default_factory=dict)
    """Day that an operator excluded, whether or not it exists → who and why, e.g. "by anna: half is lost"."""


class PartialRecord(Strict):
    """The record of one finished day of daily partials, stored beside it as its marker."""

    day: dt.date
    fingerprint: str
    """Fingerprint of the partition it was made from."""
    settings_hash: str = Field(validation_alias=AliasChoices("settings_hash", "recipe"), serialization_alias="recipe")
    """Hash of the settings that determine its content."""
    rows: int
    """Raw rows of the partition."""
    ignored: int
    """Raw rows with an ignored event name."""
    erased: int
    """Raw rows of users who were erased when it was made."""
    dropped: Mapping[str, int]
    """Fault → number of raw rows dropped for it."""
    events: Mapping[str, int]
    """Event name → number of raw rows kept."""
    largest: Mapping[str, float]
    """Event name → largest magnitude of `amount` of a (user, source)."""
    users: int
    """Distinct users of the rows kept, within 2 %."""

    @property
    def kept(self) -> int:
        """Raw rows that count; `rows` is the sum of ignored, erased, dropped and kept."""
        return sum(self.events.values())


class PartialStore(Protocol):
    """Stores daily partials between runs. A day without a record does not exist, whatever its folder contains."""

    def finished(self, name: str, days: Collection[dt.date]) -> tuple[PartialRecord, ...]:
        """Returns the records of those days that are finished."""

    def recorded(self, name: str, days: Collection[dt.date]) -> tuple[PartialRecord, ...]:
        """Returns the records of those days, oldest first, without checking the files beside them."""

    def stage(self, name: str, days: Collection[dt.date], frame: "DataFrame") -> None:
        """Replaces the days by the rows of `frame` (contract.daily_partials, left_out, dt) without finishing them.

        Each of its partitions writes a file of every day that it holds rows of.
        """

    def finish(self, name: str, records: Sequence[PartialRecord]) -> None:
        """Marks staged days as finished."""

    def read(self, name: str, days: Collection[dt.date], ids: IdKind) -> "DataFrame":
        """Returns staged or finished rows of exactly these days: contract.daily_partials, left_out, dt."""

    def some_users(self, name: str, day: dt.date, count: int) -> Sequence[UserId]:
        """Returns users of about `count` staged or finished rows from all over a day, as often as they have rows."""

    def prune(self, name: str, before: dt.date) -> None:
        """Deletes the days before `before`."""


class Catalog(Protocol):
    """The datasets of one product."""

    @property
    def partials(self) -> PartialStore:
        """The product's daily partials."""

    @property
    def erased(self) -> Collection[UserId]:
        """Users who must be forgotten; features leave their rows out of everything read here."""

    def days(self, dataset: Dataset) -> tuple[dt.date, ...]:
        """Returns the days that have a folder, oldest first, judged by names only; raises MissingDatasetError."""

    def excluded_days(self, dataset: Dataset) -> Collection[dt.date]:
        """Returns all days that an operator excluded, however old."""

    def partitions(self, dataset: Dataset, days: Collection[dt.date]) -> DayPartitions:
        """Returns the partitions of these days from their footers; raises MissingDatasetError, BrokenPartitionError."""

    def read(self, dataset: Dataset, partitions: Sequence[DayPartition], columns: Sequence[str]) -> "DataFrame":
        """Returns these columns under their names in the files, and `dt` (date); a column that a file lacks is null.

        Integers are read as bigint, times of every unit and zone as timestamp (UTC if without a zone), others
        unchanged.
        """
