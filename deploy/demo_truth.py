"""What was planted in the demo world, and how good lists are against it.

The truth of a world lies in `users.parquet` and `sources.parquet` of its `_truth` folder, which no product reads.
How much user u would love source s:

    affinity(u, s) = popularity(s) · taste(u) · trait(s) · σ(nuance(u) · nuance(s))

    WorldError        a world or its truth cannot be made, found or used
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from conf.errors import DiscoveryError

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]
_USERS_PER_BLOCK = 1024


class WorldError(DiscoveryError):
    """A demo world or its truth cannot be made, found or used."""


@dataclass(frozen=True)
class Truth:
    """Planted factors: U users, S sources, C communities, N nuances."""

    user_ids: pa.Array
    """(U,) ids."""
    source_ids: pa.Array
    """(S,) ids."""
    tastes: Floats
    """(U, C) share of each community in what a user loves; rows add up to 1."""
    traits: Floats
    """(S, C) share of a source in a community, before its popularity; 0: not of that community."""
    user_nuances: Floats
    """(U, N) what tells users of one community apart."""
    source_nuances: Floats
    """(S, N) likewise."""
    popularity: Floats
    """(S,) positive."""
    eligible: NDArray[np.bool_]
    """(S,) active at the end of the world."""

    def appeal(self, users: Indices, sources: Indices) -> Floats:
        """(n,) probability that a source of the right community pleases, pair by pair."""
        return _sigmoid(np.einsum("ij,ij->i", self.user_nuances[users], self.source_nuances[sources]))

    def affinity(self, users: Indices) -> Floats:
        """(len(users), S) affinities."""
        appeal = _sigmoid(self.user_nuances[users] @ self.source_nuances.T)
        return np.asarray(self.tastes[users] @ self.traits.T * self.popularity * appeal, np.float32)

    def save(self, folder: Path) -> None:
        """Writes both tables into `folder`, which is made."""
        folder.mkdir(parents=True)
        users = {"user_id": self.user_ids, "tastes": _rows(self.tastes), "nuances": _rows(self.user_nuances)}
        sources = {
            "source_id": self.source_ids,
            "traits": _rows(self.traits),
            "nuances": _rows(self.source_nuances),
            "popularity": pa.array(self.popularity),
            "eligible": pa.array(self.eligible),
        }
        pq.write_table(pa.table(users), folder / "users.parquet")
        pq.write_table(pa.table(sources), folder / "sources.parquet")

    @classmethod
    def load(cls, folder: Path) -> "Truth":
        """Reads what `save` wrote; raises WorldError where there is none."""
        try:
            users, sources = (pq.read_table(folder / f"{name}.parquet") for name in ("users", "sources"))
        except FileNotFoundError as error:
            raise WorldError(f"{folder} holds no planted truth: make it with python -m deploy.demo_world") from error
        return cls(
            user_ids=users["user_id"].combine_chunks(),
            source_ids=sources["source_id"].combine_chunks(),
            tastes=_matrix(users["tastes"]),
            traits=_matrix(sources["traits"]),
            user_nuances=_matrix(users["nuances"]),
            source_nuances=_matrix(sources["nuances"]),
            popularity=sources["popularity"].to_numpy(),
            eligible=sources["eligible"].to_numpy(),
        )


def planted_ndcg(folder: Path, lists: pa.Table, exclusions: pa.Table, *, k: int = 10, relevant: int = 50) -> float:
    """Mean NDCG@k (Järvelin & Kekäläinen 2002, binary gains) of lists against the truth planted in `folder`.

    Relevant to a user are the `relevant` sources of highest true affinity among those that may be recommended: active
    at the end of the world, of a community of theirs, and not excluded. `lists`: one row per user (user_id,
    source_ids best first). `exclusions`: (user_id, source_id) rows, those of the run. Users without a row in `lists` are
    not judged. Raises WorldError on ids that are not of this world or on no lists.
    """
    truth = Truth.load(folder)
    users = positions(lists["user_id"], truth.user_ids, "user")
    rows, ranks, sources = _entries(lists, truth.source_ids, k)
    excluded_rows, excluded = _pairs(exclusions, lists["user_id"], truth.source_ids)
    gains, ideal = 1 / np.log2(np.arange(2, k + 2)), np.zeros(len(users))
    found = np.zeros(len(rows), np.bool_)
    for block in _blocks(len(users)):
        affinity = truth.affinity(users[block])
        affinity[:, ~truth.eligible] = 0
        here = _within(excluded_rows, block)
        affinity[excluded_rows[here] - block.start, excluded[here]] = 0
        best = _best(affinity, relevant)
        ideal[block] = np.concatenate([[0], gains.cumsum()])[np.minimum(best.sum(axis=1), k)]
        here = _within(rows, block)
        found[here] = best[rows[here] - block.start, sources[here]]
    scores = np.bincount(rows[found], weights=gains[ranks[found]], minlength=len(users))
    return float(np.divide(scores, ideal, out=np.zeros_like(scores), where=ideal > 0)[ideal > 0].mean())


def lists_of_ranking(ranking: pa.Array, users: pa.Array, exclusions: pa.Table, n: int) -> pa.Table:
    """The first `n` sources of one ranking for each user, without their own exclusions: (user_id, source_ids)."""
    excluded_rows, excluded = _pairs(exclusions, users, ranking)
    most = int(np.bincount(excluded_rows, minlength=1).max()) if len(excluded_rows) else 0
    width = min(len(ranking), n + most)
    columns, lengths = [], []
    for block in _blocks(len(users)):
        allowed = np.ones((block.stop - block.start, width), np.bool_)
        here = _within(excluded_rows, block)
        here = here[excluded[here] < width]
        allowed[excluded_rows[here] - block.start, excluded[here]] = False
        kept = allowed & (allowed.cumsum(axis=1, dtype=np.int32) <= n)
        columns.append(kept.nonzero()[1])
        lengths.append(kept.sum(axis=1))
    offsets = np.concatenate([[0], *lengths]).cumsum().astype(np.int32)
    values = ranking.take(pa.array(np.concatenate([np.zeros(0, np.int64), *columns])))
    return pa.table({"user_id": users, "source_ids": pa.ListArray.from_arrays(pa.array(offsets), values)})


def positions(ids: pa.Array | pa.ChunkedArray, known: pa.Array, what: str) -> Indices:
    """Where each id stands in `known`; raises WorldError on an id that is not there."""
    found = pc.index_in(ids, known)
    if found.null_count:
        stranger = ids.filter(pc.is_null(found))[0]
        raise WorldError(f"{what} {stranger} is not of this world: judge lists by the truth of the data they come from")
    return np.asarray(found.to_numpy(), np.int64)


def _entries(lists: pa.Table, source_ids: pa.Array, k: int) -> tuple[Indices, Indices, Indices]:
    """(row, rank, source) of every list entry of rank < k, sorted by row."""
    if not len(lists):
        raise WorldError("there are no lists to judge")
    column = lists["source_ids"].combine_chunks()
    lengths = pc.list_value_length(column).to_numpy(zero_copy_only=False)
    rows = np.repeat(np.arange(len(lists)), lengths)
    ranks = np.arange(len(rows)) - np.repeat(lengths.cumsum() - lengths, lengths)
    top = ranks < k
    return rows[top], ranks[top], positions(column.flatten().filter(pa.array(top)), source_ids, "source")


def _pairs(table: pa.Table, users: pa.Array | pa.ChunkedArray, sources: pa.Array) -> tuple[Indices, Indices]:
    """(user position, source position) of the pairs of which both sides are known, sorted by user."""
    rows, columns = (
        pc.index_in(table["user_id"], pa.chunked_array([users]) if isinstance(users, pa.Array) else users),
        pc.index_in(table["source_id"], sources),
    )
    known = pc.and_(pc.is_valid(rows), pc.is_valid(columns))
    row, column = (np.asarray(side.filter(known).to_numpy(), np.int64) for side in (rows, columns))
    order = np.argsort(row, kind="stable")
    return row[order], column[order]


def _best(affinity: Floats, count: int) -> NDArray[np.bool_]:
    """Marks the `count` largest positive entries of each row."""
    best = np.zeros(affinity.shape, np.bool_)
    count = min(count, affinity.shape[1])
    top = np.argpartition(affinity, -count, axis=1)[:, -count:]
    np.put_along_axis(best, top, np.take_along_axis(affinity, top, axis=1) > 0, axis=1)
    return best


def _blocks(rows: int) -> Iterator[slice]:
    for start in range(0, rows, _USERS_PER_BLOCK):
        yield slice(start, min(start + _USERS_PER_BLOCK, rows))


def _within(sorted_rows: Indices, block: slice) -> Indices:
    """Indices of the rows of a block."""
    return np.arange(*np.searchsorted(sorted_rows, [block.start, block.stop]))


def _sigmoid(values: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-values)), np.float32)


def _rows(matrix: Floats) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), matrix.shape[1])


def _matrix(column: pa.ChunkedArray) -> Floats:
    rows = column.combine_chunks()
    return np.asarray(rows.flatten().to_numpy(), np.float32).reshape(len(rows), rows.type.list_size)
