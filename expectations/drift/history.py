"""What was measured of days, snapshots and runs: small tables, one per run, that later runs read together."""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from expectations.drift.statistics import Kind

Days = NDArray[np.datetime64]
Floats = NDArray[np.float64]
Key = tuple[Kind, str, str]
"""Kind of the subject, subject, name of the statistic."""

_TYPES: Mapping[str, pa.DataType] = {
    "kind": pa.string(),
    "subject": pa.string(),
    "name": pa.string(),
    "day": pa.date32(),
    "value": pa.float64(),
    "n": pa.float64(),
    "made_of": pa.string(),
    "note": pa.string(),
}
SCHEMA = pa.schema(_TYPES)
"""Schema of a table of `Measured`."""


@dataclass(frozen=True)
class Measured:
    """One number."""

    kind: Kind
    subject: str
    """Name of the dataset, or `interactions`, `factors`, `lists`, `judged`, `served`."""
    name: str
    """Name of the statistic."""
    day: dt.date
    """Day of the events, of the snapshot's partition, or `as_of` of the run."""
    value: float
    n: float
    """Number of users, events or rows that it is a share or a mean of; of a count the count itself."""
    made_of: str
    """What the number rests on: fingerprints of partitions, or what a run's tables were made by. Numbers of runs are
    only compared with those made alike."""
    note: str = ""
    """Which one it is of, e.g. a segment, where it is the largest or smallest of several."""

    @property
    def key(self) -> Key:
        """Of the series that the number belongs to."""
        return self.kind, self.subject, self.name


@dataclass(frozen=True)
class Series:
    """Every measured number of one statistic and subject, oldest first."""

    days: Days
    values: Floats
    n: Floats
    made_of: tuple[str, ...]


def to_table(measured: Iterable[Measured]) -> pa.Table:
    """Returns `measured` as a table (SCHEMA)."""
    rows = [*measured]
    return pa.table({field.name: [getattr(row, field.name) for row in rows] for field in fields(Measured)}, SCHEMA)


def of_stored(table: pa.Table) -> pa.Table:
    """Returns a table that was kept with today's columns (SCHEMA); older code kept no notes.

    Raises KeyError, pyarrow.ArrowException.
    """
    if "note" not in table.column_names:
        table = table.append_column("note", pa.repeat("", table.num_rows))
    return table.select(SCHEMA.names).cast(SCHEMA)


_ByDay = dict[dt.date, tuple[float, float, str, str]]
"""Day → value, n, made_of, note."""


class History:
    """All that was measured; of one number measured several times the last one counts."""

    def __init__(self, tables: Sequence[pa.Table]) -> None:
        """Joins tables (SCHEMA), those of older runs first."""
        self._found: dict[Key, _ByDay] = {}
        for table in tables:
            columns = [table[name].to_pylist() for name in SCHEMA.names]
            for kind, subject, name, day, value, n, made_of, note in zip(*columns, strict=True):
                self._found.setdefault((kind, subject, name), {})[day] = (value, n, made_of, note)

    def with_measured(self, measured: Collection[Measured]) -> "History":
        """Returns this history and newer numbers."""
        newer = History([])
        newer._found = self._found | {key: {**self._found.get(key, {})} for key in {one.key for one in measured}}
        for one in measured:
            newer._found[one.key][one.day] = (one.value, one.n, one.made_of, one.note)
        return newer

    @property
    def keys(self) -> Sequence[Key]:
        """Every statistic that was measured, sorted."""
        return sorted(self._found)

    def note(self, key: Key, day: dt.date) -> str:
        """Returns what was noted with the number of a day; "" if nothing was."""
        return self._found.get(key, {}).get(day, (0.0, 0.0, "", ""))[-1]

    def series(self, key: Key) -> Series:
        """Returns one series; an empty one if it was never measured."""
        by_day = self._found.get(key)
        if not by_day:
            return Series(np.zeros(0, "datetime64[D]"), np.zeros(0), np.zeros(0), ())
        days = sorted(by_day)
        values, n, made_of, _ = zip(*(by_day[day] for day in days), strict=True)
        return Series(np.array(days, "datetime64[D]"), np.array(values, float), np.array(n, float), made_of)
