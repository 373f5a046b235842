"""Which sources the lists of a run hold, and at which places: all of them counted once, and one of them looked for."""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from conf.ids import IdKind, UserId
from jobs.inspector.archive import Archive, digest_of
from jobs.inspector.cached import placed
from jobs.inspector.grouped import Grouped, Ints, grouped, names_of, ranges
from jobs.run.manifest import KeptRun
from jobs.storage.digests import listing_of
from models.arrays.ids import IdMap
from models.arrays.mapped import map_arrays, save_arrays

LISTS, PAIRS = "lists", "interactions"
BANDS: tuple[tuple[int, int | None], ...] = ((1, 1), (2, 5), (6, 10), (11, 20), (21, None))
"""First and last places that are counted together."""
_LISTS_AT_ONCE = 2**16
_PLACES_AT_ONCE = 2**23
_KEPT = 24
"""Runs whose arrays are held: they are mapped, not read."""


def band_text(band: tuple[int, int | None]) -> str:
    """Returns the places of a band for people."""
    first, last = band
    if last is None:
        return f"from {first}"
    return str(first) if first == last else f"{first}–{last}"


@dataclass(frozen=True, eq=False)
class Holders:
    """The users whose list holds a source, the best placed first."""

    among: IdMap
    rows: Ints
    """Rows of the users in `among`."""
    places: Ints

    def __len__(self) -> int:
        return len(self.rows)

    def first(self, most: int) -> list[tuple[UserId, int]]:
        """Returns the best placed users and their places."""
        return list(zip(names_of(self.among, self.rows[:most]), self.places[:most].tolist(), strict=True))

    @property
    def by_place(self) -> list[tuple[int, int]]:
        """Place and how many lists have the source there."""
        counts = np.bincount(self.places)
        return [(int(place), int(counts[place])) for place in np.flatnonzero(counts)]


@dataclass(frozen=True, eq=False)
class Listed:
    """The lists of a run, and how many of them hold each source."""

    lists: Grouped
    by_band: NDArray[np.int32]
    """(sources, bands)."""

    def __len__(self) -> int:
        return len(self.lists.users)

    @cached_property
    def totals(self) -> Ints:
        """Lists that hold each source."""
        return np.asarray(self.by_band.sum(axis=1, dtype=np.int64))

    def of(self, source: UserId) -> list[int]:
        """Returns the lists that hold a source, by band."""
        row = self.lists.row(source)
        return [int(count) for count in self.by_band[row]] if row >= 0 else [0] * len(BANDS)

    def holders(self, source: UserId) -> Holders:
        """Returns who has a source in their list."""
        row, starts, sources = self.lists.row(source), self.lists.starts, self.lists.sources
        pieces = ranges(len(sources) if row >= 0 else 0, _PLACES_AT_ONCE)
        found = [np.flatnonzero(sources[begin:end] == row) + begin for begin, end in pieces]
        at = np.concatenate([np.zeros(0, np.int64), *found])
        users = np.searchsorted(starts, at, side="right") - 1
        places = at - starts[users] + 1
        order = np.argsort(places, kind="stable")  # users ascend already
        return Holders(self.lists.users, users[order], places[order])


@dataclass(eq=False)
class ListCache:
    """Arrays of runs, each made once; one is made at a time, so that memory stays bounded."""

    _made: "OrderedDict[Path, Listed]" = field(default_factory=OrderedDict)
    _making: threading.Lock = field(default_factory=threading.Lock)

    def find(self, archive: Archive, run: KeptRun) -> Listed | None:
        """Returns what is there already; None: not yet."""
        return self._made.get(_cache_of(archive, run, LISTS))

    def get(self, archive: Archive, run: KeptRun) -> Listed:
        """Returns the lists of a run. Raises ChangedSince, NotFinished."""
        run.folder.table(LISTS)
        cache = _cache_of(archive, run, LISTS)
        with self._making:
            found = self._made.get(cache)
            if found is None:
                found = self._made[cache] = _listed(run, cache)
                while len(self._made) > _KEPT:
                    self._made.popitem(last=False)
            return found

    def pairs(self, archive: Archive, run: KeptRun) -> Grouped:
        """Returns what each user of a run engaged with. Raises ChangedSince, NotFinished."""
        run.folder.table(PAIRS)
        with self._making:
            return grouped(run.folder, PAIRS, _kind(run), _cache_of(archive, run, PAIRS))


def _listed(run: KeptRun, cache: Path) -> Listed:
    lists = grouped(run.folder, LISTS, _kind(run), cache)
    counts = cache.with_name(f"{cache.name}-counts")
    if not counts.exists():
        with placed(counts) as at:
            save_arrays(at, {"by_band": counted(lists)})
    return Listed(lists, map_arrays(counts, ["by_band"])[0])


def counted(lists: Grouped) -> NDArray[np.int32]:
    """Returns how many lists hold each source, by bands of places."""
    size, firsts = len(lists.ids), np.array([band[0] for band in BANDS[1:]])
    counts = np.zeros(size * len(BANDS), np.int64)
    for begin, end in ranges(len(lists.users), _LISTS_AT_ONCE):
        starts = lists.starts[begin : end + 1]
        sources = lists.sources[int(starts[0]) : int(starts[-1])]
        lengths = np.diff(starts)
        places = np.arange(1, len(sources) + 1) - np.repeat(starts[:-1] - starts[0], lengths)
        widest = np.searchsorted(firsts, np.arange(int(lengths.max(initial=0)) + 1), side="right")
        keys = sources.astype(np.int64) * len(BANDS) + widest[places]
        counts += np.bincount(keys[sources >= 0], minlength=len(counts))
    return counts.reshape(size, len(BANDS)).astype(np.int32)


def _kind(run: KeptRun) -> IdKind:
    kind: IdKind = run.manifest.settings["ids"]
    return kind


def _cache_of(archive: Archive, run: KeptRun, table: str) -> Path:
    digest = digest_of([listing_of(run.folder, name) for name in (table, "sources")])
    return archive.cache / run.manifest.request.run_id / f"{table}-by-user-{digest}"
