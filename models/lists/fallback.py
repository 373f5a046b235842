"""The fallback list: popular sources, for users without interactions."""

import json
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from conf.ids import IdKind
from models.arrays.arrow import Column, ListColumn, column_of, lengths_of, list_column, numpy_of
from models.arrays.ids import IdMap, id_type

_ORDER: list[tuple[str, Literal["ascending", "descending"]]] = [
    ("users", "descending"),
    ("weight", "descending"),
    ("source_id", "ascending"),
]


@dataclass(frozen=True, eq=False)
class Fallback:
    """Sources best first, and their scores (numbers of users), float32 and descending."""

    source_ids: Column
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def of_json(cls, raw: bytes, ids: IdKind) -> "Fallback":
        """Returns the list that `to_json` wrote. Raises ValueError and KeyError on anything else."""
        content = json.loads(raw)
        return cls(pa.array(content["source_ids"], id_type(ids)), np.asarray(content["scores"], np.float32))

    def to_json(self) -> bytes:
        """Returns the list as JSON: `source_ids` best first, and as many `scores`."""
        return json.dumps({"source_ids": self.source_ids.to_pylist(), "scores": self.scores.tolist()}).encode()

    def without(self, excluded: ListColumn, n: int, ids: IdKind) -> tuple[ListColumn, ListColumn]:
        """Returns (ids, scores) of the first n sources outside each user's list of excluded ids."""
        places = self._free_places(excluded, n, ids)
        kept = places < len(self)
        chosen, lengths = places[kept], kept.sum(axis=1)
        return (
            list_column(lengths, self.source_ids.take(column_of(chosen))),
            list_column(lengths, column_of(self.scores[chosen])),
        )

    def _free_places(self, excluded: ListColumn, n: int, ids: IdKind) -> NDArray[np.int64]:
        """Returns positions (users, n) in this list that are not excluded, ascending; past its end when it is used up.

        An excluded position with j free ones before it moves the j-th free position and all later ones on by one. The
        work is n + the user's excluded sources, however long the list is.
        """
        order = pc.sort_indices(self.source_ids).to_numpy()
        rows = IdMap.of(self.source_ids, ids).rows(excluded.flatten())
        users = np.repeat(np.arange(len(excluded)), lengths_of(excluded))
        taken = np.unique(users[rows >= 0] * len(self) + order[rows[rows >= 0]].astype(np.int64))
        users, taken = taken // max(len(self), 1), taken % max(len(self), 1)
        first = np.searchsorted(users, np.arange(len(excluded)))
        free_before = taken - (np.arange(len(taken)) - first[users])
        near = free_before < n
        moves = np.bincount(users[near] * n + free_before[near], minlength=len(excluded) * n).reshape(len(excluded), n)
        places: NDArray[np.int64] = np.arange(n) + np.cumsum(moves, axis=1)
        return places


def fallback_list(sources: pa.Table, size: int) -> Fallback:
    """Returns the `size` most popular eligible sources of contract.sources: by users, weight, then smaller id."""
    eligible = sources.filter(pc.field("eligible")).select([name for name, _ in _ORDER])
    best = eligible.sort_by(_ORDER).slice(0, size)
    return Fallback(best["source_id"].combine_chunks(), numpy_of(best["users"]).astype(np.float32))
