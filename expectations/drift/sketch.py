"""A small sample of a snapshot's rows, kept with a run: how many rows of the former snapshot are still there."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from expectations.drift.weeks import WEEK

SIZE = 1024
"""Most hashes of a sketch: 8 kB."""
LEAST_DAYS, MOST_DAYS = 4, 10
"""Days between two runs whose snapshots are compared: rates are those of about a week."""

_TYPES: Mapping[str, pa.DataType] = {
    "name": pa.string(),
    "as_of": pa.date32(),
    "day": pa.date32(),
    "hashes": pa.list_(pa.uint64()),
    "hashed_to": pa.uint64(),
}
SCHEMA = pa.schema(_TYPES)
"""Schema of a table of sketches."""


@dataclass(frozen=True)
class Sketch:
    """The smallest hashes of one snapshot's rows."""

    name: str
    """Name of the snapshot."""
    as_of: dt.date
    """Day of the run."""
    day: dt.date
    """Day of the partition."""
    hashes: NDArray[np.uint64]
    """Different hashes of whole rows, sorted."""
    hashed_to: int
    """Every hash of the snapshot up to this one is among `hashes`."""

    @classmethod
    def of(cls, name: str, as_of: dt.date, day: dt.date, hashes: Sequence[int], hashed_to: int) -> "Sketch":
        """Returns the sketch of all hashes up to `hashed_to`, of which the smallest SIZE are kept."""
        smallest = np.sort(np.asarray(hashes, "uint64"))[:SIZE]
        return cls(name, as_of, day, smallest, hashed_to if len(hashes) <= SIZE else int(smallest[-1]))

    def kept_in(self, newer: "Sketch") -> tuple[float, int] | None:
        """Returns the share of this snapshot's rows that `newer` has, and of how many; None if that is unknown."""
        common = np.uint64(min(self.hashed_to, newer.hashed_to))
        mine = self.hashes[self.hashes <= common]
        return (float(np.isin(mine, newer.hashes).mean()), len(mine)) if len(mine) else None


def former_of(sketch: Sketch, offered: Iterable[Sketch]) -> Sketch | None:
    """Returns the sketch of another partition that is nearest to a week older, if one is near enough."""

    def distance(other: Sketch) -> tuple[int, dt.date]:
        return abs((sketch.as_of - other.as_of).days - WEEK), other.as_of

    near = [
        other
        for other in offered
        if other.name == sketch.name
        and other.day != sketch.day
        and LEAST_DAYS <= (sketch.as_of - other.as_of).days <= MOST_DAYS
    ]
    return min(near, key=distance, default=None)


def to_table(sketches: Iterable[Sketch]) -> pa.Table:
    """Returns `sketches` as a table (SCHEMA)."""
    rows = [*sketches]
    return pa.table({field.name: [getattr(row, field.name) for row in rows] for field in fields(Sketch)}, SCHEMA)


def of_table(table: pa.Table) -> list[Sketch]:
    """Returns the sketches of a table (SCHEMA). Raises KeyError, pyarrow.ArrowException."""
    rows = table.select(SCHEMA.names).cast(SCHEMA).to_pylist()
    return [Sketch(**{**row, "hashes": np.array(row["hashes"], "uint64")}) for row in rows]
