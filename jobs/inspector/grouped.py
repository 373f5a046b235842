"""The sources of each user in a table of a run, as arrays that are mapped from the local cache.

A million lists are 200 MB, of which a page touches what it needs; a table is read once, however often it is asked.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from conf.ids import IdKind, UserId
from jobs.inspector.cached import placed
from jobs.storage.bound_folder import BoundFolder
from models.arrays.arrow import Column, ListColumn, lengths_of, numpy_of
from models.arrays.ids import IdKeys, IdMap, id_keys, id_type
from models.arrays.mapped import map_arrays, save_arrays
from models.arrays.streamed import streamed

_ROWS = 2**15
"""Rows at once."""
_THREADS = 2
_NAMES = ("users", "starts", "sources", "ids")
_SPREAD = 16
"""Numbers per id up to which ids are looked up in a table of all numbers between the least and the largest."""
Ints = NDArray[np.int64]
Item = TypeVar("Item")
Made = TypeVar("Made")


@dataclass(frozen=True, eq=False)
class Grouped:
    """The sources of each user, in the order of the table."""

    users: IdMap
    starts: Ints
    """(users + 1): where the sources of each user begin."""
    sources: NDArray[np.int32]
    """Rows of `ids`; −1: a source that the run's table of sources does not have."""
    ids: IdMap

    def row(self, source: UserId) -> int:
        """Returns the row of a source; −1: the run does not know it."""
        return int(self.ids.rows(pa.array([source], id_type(self.ids.kind)))[0])

    def of(self, users: Ints) -> NDArray[np.int32]:
        """Returns the sources of these rows of users, one after the other."""
        return np.asarray(self.sources[_places(self.starts[users], self.starts[users + 1] - self.starts[users])])


def names_of(ids: IdMap, rows: NDArray[Any]) -> list[UserId]:
    """Returns the ids of these rows."""
    named: Any = ids.to_arrow(rows.astype(np.int32)).to_pylist()
    return list(named)


def side_by_side(work: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
    """Yields what `work` makes of each item, a few at a time and never more in memory."""
    with ThreadPoolExecutor(_THREADS) as pool:
        begun = deque[Future[Made]]()
        for item in items:
            begun.append(pool.submit(work, item))
            if len(begun) > _THREADS:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()


def grouped(folder: BoundFolder, table: str, kind: IdKind, cache: Path) -> Grouped:
    """Returns the sources of a table's users; `cache`: where they are kept. Raises ChangedSince, NotFinished."""
    if not cache.exists():
        _save(folder, table, kind, cache)
    users, starts, sources, ids = map_arrays(cache, _NAMES)
    return Grouped(IdMap(users), starts, sources, IdMap(ids))


def _save(folder: BoundFolder, table: str, kind: IdKind, cache: Path) -> None:
    ids = IdMap(np.sort(id_keys(folder.table("sources").to_table(columns=["source_id"])["source_id"], kind)))
    column = "source_ids" if "source_ids" in folder.table(table).schema.names else "source_id"
    rows_of = _rows_of(ids)
    batches = (batch for _, batch in streamed(folder.table(table), ["user_id", column], _ROWS))
    parts = list(side_by_side(lambda batch: _part(batch, column, kind, rows_of), batches))
    users = np.concatenate([part[0] for part in parts]) if parts else id_keys(pa.array([], id_type(kind)), kind)
    lengths = np.concatenate([np.zeros(0, np.int64), *(part[1] for part in parts)])
    sources = np.concatenate([np.zeros(0, np.int32), *(part[2] for part in parts)])
    del parts
    with placed(cache) as at:
        save_arrays(at, {**_in_order(users, lengths, sources, at), "ids": ids.values})


def _in_order(users: IdKeys, lengths: Ints, sources: NDArray[np.int32], at: Path) -> dict[str, NDArray[Any]]:
    """Writes the sources by ascending users; returns the users and where theirs begin."""
    order = np.argsort(users, kind="stable")
    starts = np.cumsum(lengths) - lengths
    out = np.lib.format.open_memmap(at / "sources.npy", "w+", np.int32, sources.shape)
    ends = np.cumsum(lengths[order])
    for first in range(0, len(order), _ROWS):
        some = order[first : first + _ROWS]
        begin = int(ends[first] - lengths[order[first]])
        out[begin : int(ends[first + len(some) - 1])] = sources[_places(starts[some], lengths[some])]
    out.flush()
    users = users[order]
    firsts = np.flatnonzero(np.append(True, users[1:] != users[:-1])) if len(users) else np.zeros(0, np.int64)
    return {"users": users[firsts], "starts": np.append((ends - lengths[order])[firsts], len(sources))}


def _places(starts: Ints, lengths: Ints) -> Ints:
    """Returns the places of `lengths` values from each start on."""
    ends = np.cumsum(lengths)
    return np.repeat(starts - (ends - lengths), lengths) + np.arange(int(ends[-1]) if len(ends) else 0)


def _part(
    batch: pa.RecordBatch, column: str, kind: IdKind, rows_of: Callable[[Column], NDArray[np.int32]]
) -> tuple[IdKeys, Ints, NDArray[np.int32]]:
    """Returns users, how many sources each has, and these; a user may come again."""
    users = id_keys(batch["user_id"], kind)
    if column == "source_ids":
        lists: ListColumn = batch[column]
        return users, lengths_of(lists), rows_of(lists.flatten())
    firsts = np.flatnonzero(np.append(True, users[1:] != users[:-1]))
    return users[firsts], np.diff(np.append(firsts, len(users))), rows_of(batch[column])


def _rows_of(ids: IdMap) -> Callable[[Column], NDArray[np.int32]]:
    """Returns what finds the rows of many ids."""
    keys = ids.values
    if ids.kind == "int64" and len(keys) and int(keys[-1]) - int(keys[0]) < _SPREAD * len(keys):
        first, last = int(keys[0]), int(keys[-1])
        table = np.full(last - first + 1, -1, np.int32)
        table[keys - first] = np.arange(len(keys), dtype=np.int32)

        def looked_up(values: Column) -> NDArray[np.int32]:
            numbers = numpy_of(values)
            inside = (numbers >= first) & (numbers <= last)
            return np.where(inside, table[np.clip(numbers, first, last) - first], np.int32(-1))

        return looked_up
    every = ids.to_arrow()

    def found(values: Column) -> NDArray[np.int32]:
        at: Any = pc.index_in(values.cast(every.type), value_set=every)
        return numpy_of(at.fill_null(-1)).astype(np.int32)

    return found


def ranges(count: int, size: int) -> Iterator[tuple[int, int]]:
    """Yields begin and end of pieces of at most `size`."""
    yield from pairwise([*range(0, count, size), count])
