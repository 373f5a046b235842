"""Which sources the lists of a run hold, and at which places: all of them counted once, and one of them looked for.

Lists are read batch by batch and never held as a whole, so that a million of them fit beside everything else.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from conf.ids import UserId
from jobs.run.manifest import KeptRun
from models.arrays.arrow import Column, ListColumn, column_of, lengths_of, numpy_of, whole

LISTS = "lists"
BANDS: tuple[tuple[int, int | None], ...] = ((1, 1), (2, 5), (6, 10), (11, 20), (21, None))
"""First and last places that are counted together."""
_ROWS = 65_536
"""Lists at once."""
_THREADS = 2
_KEPT = 24
"""Runs whose counts are kept: a few MB each at a million sources."""
Values = NDArray[Any]
Item = TypeVar("Item")
Made = TypeVar("Made")


def band_text(band: tuple[int, int | None]) -> str:
    """Returns the places of a band for people."""
    first, last = band
    if last is None:
        return f"from {first}"
    return str(first) if first == last else f"{first}–{last}"


@dataclass(frozen=True, eq=False)
class Counts:
    """How many lists of a run hold each source, by bands of places."""

    sources: Column
    by_band: NDArray[np.int64]
    """(sources, bands)."""
    lists: int

    @property
    def totals(self) -> NDArray[np.int64]:
        """Lists that hold each source."""
        return np.asarray(self.by_band.sum(axis=1, dtype=np.int64))

    def of(self, source: UserId) -> NDArray[np.int64]:
        """Returns the lists that hold a source, by band."""
        place = int(pc.index(self.sources, pa.scalar(source, self.sources.type)).as_py())
        return np.asarray(self.by_band[place]) if place >= 0 else np.zeros(len(BANDS), np.int64)


def batches_of(run: KeptRun, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Yields the rows of a run's lists; raises NotFinished and ChangedSince."""
    yield from run.folder.table(LISTS).to_batches(columns=columns, batch_size=_ROWS, batch_readahead=2)


def side_by_side(work: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
    """Yields what `work` makes of each item, a few at a time and never more in memory."""
    waiting = iter(items)
    with ThreadPoolExecutor(_THREADS) as pool:
        while some := list(islice(waiting, _THREADS)):
            yield from pool.map(work, some)


def count_sources(run: KeptRun) -> Counts:
    """Returns what the lists of a run hold."""
    column = run.folder.table("sources").to_table(["source_id"])["source_id"]
    sources = whole(column)
    by_band, lists = np.zeros(len(sources) * len(BANDS), np.int64), 0
    for keys, rows in side_by_side(lambda batch: _keys(batch, sources), batches_of(run, ["source_ids"])):
        by_band += np.bincount(keys, minlength=len(by_band))
        lists += rows
    return Counts(sources, by_band.reshape(len(sources), len(BANDS)), lists)


def _keys(batch: pa.RecordBatch, sources: Column) -> tuple[NDArray[np.int64], int]:
    """Returns source and band of each place as one number, and how many lists there are."""
    lists: ListColumn = batch["source_ids"]
    numbers = numbers_in(lists.flatten(), sources)
    bands = np.searchsorted(np.array([band[0] for band in BANDS[1:]]), flat_places(lists), side="right")
    known = numbers >= 0
    return numbers[known] * len(BANDS) + bands[known], batch.num_rows


def numbers_in(values: Any, among: Column) -> NDArray[np.int64]:
    """Returns the row of each value; −1: it is not there."""
    found: Any = pc.index_in(values.cast(among.type), value_set=among)
    return numpy_of(found.fill_null(-1)).astype(np.int64)


def flat_places(lists: ListColumn) -> NDArray[np.int64]:
    """Returns the place of each of `flat_values` in its list, from 1."""
    lengths = lengths_of(lists)
    ends = np.cumsum(lengths)
    return np.arange(1, int(ends[-1]) + 1 if len(ends) else 1) - np.repeat(ends - lengths, lengths)


@dataclass(frozen=True, eq=False)
class Holders:
    """The users whose list holds a source, the best placed first."""

    users: Values
    places: NDArray[np.int64]

    @property
    def by_place(self) -> list[tuple[int, int]]:
        """Place and how many lists have the source there."""
        counts = np.bincount(self.places)
        return [(int(place), int(counts[place])) for place in np.flatnonzero(counts)]


def holders_of(run: KeptRun, source: UserId) -> Holders:
    """Returns who has a source in the lists of a run."""
    batches = batches_of(run, ["user_id", "source_ids"])
    found = list(side_by_side(lambda batch: _holding(batch, source), batches))
    if not found:
        return Holders(np.empty(0, np.int64), np.empty(0, np.int64))
    users, places = (np.concatenate([one[at] for one in found]) for at in (0, 1))
    order = np.lexsort((users.astype(str) if users.dtype == object else users, places))
    return Holders(users[order], places[order])


def _holding(batch: pa.RecordBatch, source: UserId) -> tuple[Values, NDArray[np.int64]]:
    lists: ListColumn = batch["source_ids"]
    values = lists.flatten()
    at = np.flatnonzero(numpy_of(pc.equal(values, pa.scalar(source, values.type))))
    lengths = lengths_of(lists)
    ends = np.cumsum(lengths)
    rows = np.searchsorted(ends, at, side="right")
    users = numpy_of(batch["user_id"].take(column_of(rows)))
    return users, at - (ends[rows] - lengths[rows]) + 1


@dataclass(eq=False)
class CountCache:
    """Counts of runs, each made once; one is made at a time, so that memory stays bounded."""

    _made: "OrderedDict[tuple[str, str], Counts]" = field(default_factory=OrderedDict)
    _making: threading.Lock = field(default_factory=threading.Lock)

    def find(self, run: KeptRun) -> Counts | None:
        """Returns what is counted already; None: not yet."""
        return self._made.get(_key(run))

    def get(self, run: KeptRun) -> Counts:
        """Returns the counts of a run."""
        with self._making:
            found = self._made.get(_key(run))
            if found is None:
                found = self._made[_key(run)] = count_sources(run)
                while len(self._made) > _KEPT:
                    self._made.popitem(last=False)
            return found


def _key(run: KeptRun) -> tuple[str, str]:
    return run.folder.uri, run.manifest.request.run_id
