"""Lists of sources as arrays of positions, for judging them: no Python object per row.

ListsError        lists and what they are judged by do not fit together
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from conf.errors import DiscoveryError

Ids: TypeAlias = "pa.Array[Any]"
Column: TypeAlias = "pa.Array[Any] | pa.ChunkedArray[Any]"
Indices = NDArray[np.int64]
Marks = NDArray[np.bool_]
_USERS_PER_BLOCK = 1024


class ListsError(DiscoveryError):
    """Lists and what they are judged by do not fit together."""


@dataclass(frozen=True)
class Entries:
    """The first k entries of each of `lists` lists, sorted by list; E entries in all."""

    lists: int
    k: int
    rows: Indices
    """(E,) position of the list."""
    ranks: Indices
    """(E,) 0 for the best."""
    sources: Indices
    """(E,) position of the source."""

    @classmethod
    def of(cls, lists: pa.Table, source_ids: Ids, k: int) -> "Entries":
        """Reads a table with `source_ids`, best first. Raises ListsError on unknown sources and on duplicates."""
        column: Any = whole(lists["source_ids"])
        lengths = np.asarray(pc.list_value_length(column))
        rows = np.repeat(np.arange(len(lists)), lengths)
        ranks = np.arange(len(rows)) - np.repeat(lengths.cumsum() - lengths, lengths)
        top = ranks < k
        sources = positions(column.flatten().filter(pa.array(top)), source_ids, "source")
        if len(np.unique(rows[top] * len(source_ids) + sources)) < len(sources):
            raise ListsError("a list holds a source twice: such lists must not be published, nor judged")
        return cls(len(lists), k, rows[top], ranks[top], sources)

    def score(self, hits: Marks, relevant: Indices) -> "Score":
        """Judges the lists.

        `hits` (E,) marks the relevant entries, `relevant` (lists,) counts the relevant sources of each list. NDCG@k has
        binary gains and an ideal cut at min(k, relevant) (Järvelin & Kekäläinen 2002); Recall@k is hits ÷ relevant.
        Both are means over the lists with relevant sources. Raises ListsError when there is no such list.
        """
        judged = relevant > 0
        if not judged.any():
            raise ListsError("there is nothing to judge: no list belongs to a user with something to be found")
        gains = 1 / np.log2(np.arange(2, self.k + 2))
        found = np.bincount(self.rows[hits], minlength=self.lists)[judged]
        gained = np.bincount(self.rows[hits], weights=gains[self.ranks[hits]], minlength=self.lists)[judged]
        ideal = gains.cumsum()[np.minimum(relevant[judged], self.k) - 1]
        return Score(int(judged.sum()), float((gained / ideal).mean()), float((found / relevant[judged]).mean()))


@dataclass(frozen=True)
class Score:
    """How good lists are, 0 to 1."""

    users: int
    """Users judged."""
    ndcg: float
    recall: float


@dataclass(frozen=True)
class Pairs:
    """(user, source) pairs as positions, sorted by user."""

    rows: Indices
    sources: Indices

    @classmethod
    def of(cls, table: pa.Table, user_ids: Column, source_ids: Ids) -> "Pairs":
        """Returns the rows whose ids are both known, sorted by user."""
        rows, sources = pc.index_in(table["user_id"], whole(user_ids)), pc.index_in(table["source_id"], source_ids)
        known = pc.and_(pc.is_valid(rows), pc.is_valid(sources))
        row, source = (np.asarray(side.filter(known), np.int64) for side in (rows, sources))
        order = np.argsort(row, kind="stable")
        return cls(row[order], source[order])

    def within(self, block: slice) -> tuple[Indices, Indices]:
        """Returns the pairs of a block of users as (rows, columns) of the block's matrix."""
        here = within(self.rows, block)
        return self.rows[here] - block.start, self.sources[here]


def lists_of_ranking(ranking: Ids, users: Column, exclusions: pa.Table, n: int) -> pa.Table:
    """Returns (user_id, source_ids): for each user the first `n` of `ranking` that are not excluded for them."""
    excluded = Pairs.of(exclusions, users, ranking)
    width = min(len(ranking), n + int(np.bincount(excluded.rows, minlength=1).max()))
    sources, lengths = [np.zeros(0, np.int64)], [np.zeros(1, np.int64)]
    for block in blocks(len(users)):
        allowed = np.ones((block.stop - block.start, len(ranking)), np.bool_)
        allowed[excluded.within(block)] = False
        kept = allowed[:, :width]
        kept &= kept.cumsum(axis=1, dtype=np.int32) <= n
        sources.append(kept.nonzero()[1])
        lengths.append(kept.sum(axis=1))
    offsets = pa.array(np.concatenate(lengths).cumsum(), pa.int32())
    values = ranking.take(np.concatenate(sources))
    return pa.table({"user_id": whole(users), "source_ids": pa.ListArray.from_arrays(offsets, values)})


def positions(ids: Column, known: Ids, what: str) -> Indices:
    """Returns the position of each id in `known`. Raises ListsError on an id that is not there."""
    found = pc.index_in(ids, known)
    if found.null_count:
        stranger = ids.filter(pc.is_null(found))[0]
        raise ListsError(f"{what} {stranger} is unknown here: judge lists by the data that they were made from")
    return np.asarray(found, np.int64)


def blocks(rows: int) -> Iterator[slice]:
    """Yields slices of rows, so that matrices with one column per source stay small."""
    for start in range(0, rows, _USERS_PER_BLOCK):
        yield slice(start, min(start + _USERS_PER_BLOCK, rows))


def within(sorted_rows: Indices, block: slice) -> slice:
    """Returns the slice of `sorted_rows` that lies in a block."""
    return slice(*np.searchsorted(sorted_rows, [block.start, block.stop]))


def whole(column: Column) -> Ids:
    """Returns a column in one piece."""
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
