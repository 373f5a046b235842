"""How features reach tables: two small protocols, implemented in `jobs/storage/` and faked in `features/fakes.py`."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

from conf.base import Strict
from conf.contract import IdKind, UserId
from conf.datasets import Dataset

if TYPE_CHECKING:
    from pyspark.sql import DataFrame  # so that a dry run starts without Spark


@dataclass(frozen=True)
class DataFile:
    """One Parquet file, as its footer describes it; `schema` has plain types (see `features.reading.plain_types`)."""

    path: str
    """Relative to the dataset's folder, e.g. dt=2026-11-15/part-0.parquet."""
    rows: int
    bytes: int
    schema: pa.Schema
    undecodable: Mapping[str, str] = field(default_factory=dict)
    """Column → its compression, where Spark cannot undo it."""


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
    """Those of the days asked for that exist, oldest first."""

    finished: tuple[DayPartition, ...]
    unfinished: tuple[dt.date, ...]
    """Days whose folder is there without its success marker."""
    misnamed: Mapping[dt.date, str] = field(default_factory=dict)
    """Day → a folder that a person may take for it, and that is not called dt=YYYY-MM-DD."""


class PartialRecord(Strict):
    """What is known of one finished day of daily partials; kept beside it as its marker."""

    day: dt.date
    fingerprint: str
    """Of the partition it was made from."""
    recipe: str
    """Of the settings that decide its content."""
    rows: int
    """Raw rows of the partition."""
    ignored: int
    """Raw rows with an ignored event name."""
    erased: int
    """Raw rows of users who were erased when it was made."""
    dropped: Mapping[str, int]
    """Fault → raw rows left out for it."""
    events: Mapping[str, int]
    """Event name → raw rows kept."""
    largest: Mapping[str, float]
    """Event name → largest magnitude of `amount` of one user and source."""
    users: int
    """Distinct users of the rows kept, within 2 %."""

    @property
    def kept(self) -> int:
        """Raw rows that count; `rows` is the sum of ignored, erased, dropped and kept, each of them counted."""
        return sum(self.events.values())


class PartialStore(Protocol):
    """Daily partials between runs. A day without a record does not exist, whatever lies in its folder."""

    def finished(self, name: str, days: Collection[dt.date]) -> tuple[PartialRecord, ...]:
        """Returns records of those of the days that are finished."""

    def noted(self, name: str, days: Collection[dt.date]) -> tuple[PartialRecord, ...]:
        """Returns records of those of the days that were finished, oldest first, without a look at what lies beside
        them.
        """

    def stage(self, name: str, days: Collection[dt.date], frame: "DataFrame") -> None:
        """Replaces the days by the rows of `frame` (contract.daily_partials, left_out, dt) without finishing them."""

    def finish(self, name: str, records: Sequence[PartialRecord]) -> None:
        """Marks staged days as finished."""

    def read(self, name: str, days: Collection[dt.date], ids: IdKind) -> "DataFrame":
        """Staged or finished rows of exactly these days: contract.daily_partials, left_out, dt."""

    def prune(self, name: str, before: dt.date) -> None:
        """Deletes the days before `before`."""


class Catalog(Protocol):
    """The datasets of one product."""

    @property
    def partials(self) -> PartialStore:
        """The product's daily partials."""

    @property
    def erased(self) -> Collection[UserId]:
        """Users who must be forgotten: features leave their rows out of all they read here."""

    def days(self, dataset: Dataset) -> tuple[dt.date, ...]:
        """Returns days that have a folder, oldest first, by their names only; raises MissingDatasetError."""

    def partitions(self, dataset: Dataset, days: Collection[dt.date]) -> DayPartitions:
        """Returns the partitions of these days from their footers; raises MissingDatasetError, BrokenPartitionError."""

    def read(self, dataset: Dataset, partitions: Sequence[DayPartition], columns: Sequence[str]) -> "DataFrame":
        """Returns these columns under their names in the files, and `dt` (date); a column that a file lacks is null.

        Integers arrive as bigint, times of every unit and zone as timestamp (without a zone: UTC), the rest as it is.
        """
