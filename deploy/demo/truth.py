"""The tastes planted in the demo world, and how good lists are against them.

The truth of a world is in `users.parquet` and `sources.parquet` of its `_truth` folder, which no product reads. How
much user u would love source s:

    affinity(u, s) = popularity(s) · taste(u) · trait(s) · σ(nuance(u) · nuance(s))

Errors are WorldError, and ListsError from `ranked`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from conf.errors import DiscoveryError
from deploy.demo.ranked import Column, Entries, Ids, Indices, Marks, Pairs, blocks, positions, whole, within

Floats = NDArray[np.float32]


class WorldError(DiscoveryError):
    """A demo world or its truth cannot be made, found or used."""


@dataclass(frozen=True)
class Truth:
    """Planted factors: U users, S sources, C communities, N nuances."""

    user_ids: Ids
    """(U,)"""
    source_ids: Ids
    """(S,)"""
    tastes: Floats
    """(U, C) share of each community in what a user loves; rows add up to 1."""
    traits: Floats
    """(S, C) share of a source in a community, before its popularity; 0: not of that community."""
    user_nuances: Floats
    """(U, N) what distinguishes users of one community."""
    source_nuances: Floats
    """(S, N) what distinguishes sources of one community."""
    popularity: Floats
    """(S,) positive."""
    eligible: Marks
    """(S,) whether a source is active at the end of the world."""
    countries: "Ids | None" = None
    """(U,) country of a user; None: not known."""

    def appeal(self, users: Indices, sources: Indices) -> Floats:
        """Returns (n,) the probability of each pair that the source, if of the right community, pleases the user."""
        return _sigmoid(np.einsum("ij,ij->i", self.user_nuances[users], self.source_nuances[sources]))

    def affinity(self, users: Indices) -> Floats:
        """Returns (len(users), S) affinities."""
        appeal = _sigmoid(self.user_nuances[users] @ self.source_nuances.T)
        return np.asarray(self.tastes[users] @ self.traits.T * self.popularity * appeal, np.float32)

    def save(self, folder: Path) -> None:
        """Writes both tables into `folder`, which must not exist."""
        folder.mkdir(parents=True)
        users = {"user_id": self.user_ids, "tastes": _rows(self.tastes), "nuances": _rows(self.user_nuances)}
        if self.countries is not None:
            users["country"] = self.countries
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
        """Reads the tables that `save` wrote. Raises WorldError where there are none."""
        try:
            users, sources = (pq.read_table(folder / f"{name}.parquet") for name in ("users", "sources"))
        except FileNotFoundError as error:
            raise WorldError(f"{folder} holds no planted truth: make it with python -m deploy.demo.world") from error
        return cls(
            user_ids=whole(users["user_id"]),
            source_ids=whole(sources["source_id"]),
            tastes=_matrix(users["tastes"]),
            traits=_matrix(sources["traits"]),
            user_nuances=_matrix(users["nuances"]),
            source_nuances=_matrix(sources["nuances"]),
            popularity=sources["popularity"].to_numpy(),
            eligible=sources["eligible"].to_numpy(),
            countries=whole(users["country"]) if "country" in users.column_names else None,
        )


def planted_ndcg(folder: Path, lists: pa.Table, exclusions: pa.Table, *, k: int = 10, relevant: int = 50) -> float:
    """Returns the mean NDCG@k (binary gains) of lists against the truth planted in `folder`.

    The relevant sources of a user are the `relevant` ones of highest true affinity that may be recommended: active at
    the end of the world, of a community of theirs, and not excluded. `lists` has one row per user (user_id, source_ids
    best first), `exclusions` the run's (user_id, source_id) rows. Users without a row in `lists` are not judged. Raises
    ListsError on ids that are not of this world, or when there is nobody to judge.
    """
    truth = Truth.load(folder)
    users = positions(lists["user_id"], truth.user_ids, "user")
    entries = Entries.of(lists, truth.source_ids, k)
    excluded = Pairs.of(exclusions, lists["user_id"], truth.source_ids)
    hits, counts = np.zeros(len(entries.rows), np.bool_), np.zeros(len(users), np.int64)
    for block in blocks(len(users)):
        affinity = np.where(truth.eligible, truth.affinity(users[block]), 0)
        affinity[excluded.within(block)] = 0
        best = _best(affinity, relevant)
        counts[block] = best.sum(axis=1)
        here = within(entries.rows, block)
        hits[here] = best[entries.rows[here] - block.start, entries.sources[here]]
    return entries.score(hits, counts).ndcg


def _best(affinity: Floats, count: int) -> Marks:
    """Marks the `count` largest positive entries of each row."""
    best, count = np.zeros(affinity.shape, np.bool_), min(count, affinity.shape[1])
    top = np.argpartition(-affinity, count - 1, axis=1)[:, :count]  # ascending: many zeros on top would be slow
    np.put_along_axis(best, top, np.take_along_axis(affinity, top, axis=1) > 0, axis=1)
    return best


def _sigmoid(values: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-values)), np.float32)


def _rows(matrix: Floats) -> "pa.FixedSizeListArray[Any, Any]":
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), matrix.shape[1])


def _matrix(column: Column) -> Floats:
    rows: Any = whole(column)
    return np.asarray(rows.flatten().to_numpy(), np.float32).reshape(len(rows), rows.type.list_size)
