"""The newest week of a dataset folder, to be read and changed; a changed file is a new one, never written in place."""

import datetime as dt
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from conf.errors import DiscoveryError

DAY = "dt"
"""Column, in a table of several partitions, with the day of each row: days since 1970."""
EVENTS = ("reactions", "clicks", "joins")
SNAPSHOTS = ("subscriptions", "sources", "blocks", "audience")
WEEK = 7
STALE = 35
"""Days by which a stale snapshot is too old."""
Ids: TypeAlias = "pa.Array[Any]"
Change = Callable[[pa.Table], pa.Table]
_EPOCH = dt.date(1970, 1, 1)
_PREFIX = "dt="


class PlantError(DiscoveryError):
    """A fault cannot be planted in these data."""


@dataclass(frozen=True)
class Week:
    """The partitions of the seven days before `as_of`; the files below `root` may be links to those of others."""

    root: Path
    as_of: dt.date

    def days(self, dataset: str) -> tuple[dt.date, ...]:
        """Returns the days of the week that the dataset has, in order. Raises PlantError where there is none."""
        first = self.as_of - dt.timedelta(days=WEEK)
        found = tuple(day for day in self.all_days(dataset) if first <= day < self.as_of)
        if not found:
            raise PlantError(f"{self.root / dataset} has no partition of the week before {self.as_of}")
        return found

    def all_days(self, dataset: str) -> tuple[dt.date, ...]:
        """Returns all days before `as_of` that the dataset has, in order."""
        folders = (self.root / dataset).glob(f"{_PREFIX}*")
        days = (dt.date.fromisoformat(folder.name.removeprefix(_PREFIX)) for folder in folders)
        return tuple(sorted(day for day in days if day < self.as_of))

    def on_or_before(self, dataset: str, day: dt.date) -> dt.date:
        """Returns the newest such day that the dataset has. Raises PlantError where there is none."""
        found = [known for known in self.all_days(dataset) if known <= day]
        if not found:
            raise PlantError(f"{self.root / dataset} has no partition of {day} or before: make a longer world")
        return found[-1]

    def read(self, dataset: str, day: dt.date) -> pa.Table:
        """Returns the rows of a partition. Raises PlantError where it is missing."""
        files = self._files(dataset, day)
        if not files:
            raise PlantError(f"{self.root / dataset} has no partition of {day}: make a longer world")
        return pa.concat_tables([pq.ParquetFile(file).read() for file in files])

    def write(self, dataset: str, day: dt.date, table: pa.Table) -> None:
        """Replaces the files of a partition by one new file."""
        files = self._files(dataset, day)
        fresh = files[0].with_name(".fresh")
        pq.write_table(table, fresh)
        for file in files[1:]:
            file.unlink()
        fresh.replace(files[0])  # the name is bound anew; what it was linked to stays

    def remove(self, dataset: str, day: dt.date) -> None:
        """Removes a partition."""
        shutil.rmtree(self.root / dataset / f"{_PREFIX}{day}")

    def change(self, dataset: str, change: Change) -> None:
        """Replaces the week's rows (with their day in DAY) by `change` of them; partitions that stay equal are left."""
        before = {day: self.read(dataset, day) for day in self.days(dataset)}
        rows = pa.concat_tables([with_day(table, day) for day, table in before.items()])
        changed = change(rows)
        for day, old in before.items():
            new = changed.filter(pc.field(DAY) == number(day)).select(old.column_names).cast(old.schema)
            if not new.equals(old):
                self.write(dataset, day, new)

    def table(self, dataset: str) -> pa.Table:
        """Returns the week's rows with their day in DAY."""
        return pa.concat_tables([with_day(self.read(dataset, day), day) for day in self.days(dataset)])

    def ids(self, column: str, datasets: Sequence[str]) -> Ids:
        """Returns the distinct ids of the week in ascending order."""
        parts = [chunk for name in datasets for chunk in self.table(name)[column].chunks]
        return distinct(pa.chunked_array(parts))

    def _files(self, dataset: str, day: dt.date) -> list[Path]:
        return sorted((self.root / dataset / f"{_PREFIX}{day}").glob("*.parquet"))


def number(day: dt.date) -> int:
    """Returns the days since 1970."""
    return (day - _EPOCH).days


def with_day(table: pa.Table, day: dt.date) -> pa.Table:
    """Returns the table with its day in DAY."""
    return table.append_column(DAY, pa.array(np.full(len(table), number(day))))


def distinct(column: "pa.Array[Any] | pa.ChunkedArray[Any]") -> Ids:
    """Returns the distinct values in ascending order, without nulls."""
    ids: Any = pc.unique(column).drop_null()
    ordered: Ids = ids.take(pc.array_sort_indices(ids))
    return ordered
