"""The fallback list: what is popular, for users of whom nothing is known."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from conf.contract import IdKind
from models.arrow import Column, ListColumn, column_of, lengths_of, lists_of, numpy_of
from models.ids import IdMap

_ORDER: list[tuple[str, Literal["ascending", "descending"]]] = [
    ("users", "descending"),
    ("weight", "descending"),
    ("source_id", "ascending"),
]


@dataclass(frozen=True, eq=False)
class Fallback:
    """Sources best first, and their scores (their users), float32 and descending."""

    source_ids: Column
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.scores)

    def without(self, barred: ListColumn, n: int, ids: IdKind) -> tuple[ListColumn, ListColumn]:
        """For each list of barred source ids, the first n others: their ids and scores."""
        order = pc.sort_indices(self.source_ids).to_numpy()
        flat = IdMap.of(self.source_ids, ids).rows(barred.flatten())
        users = np.repeat(np.arange(len(barred)), lengths_of(barred))
        keep = np.ones((len(barred), len(self)), bool)
        keep[users[flat >= 0], order[flat[flat >= 0]]] = False
        keep &= np.cumsum(keep, axis=1) <= n
        places = np.nonzero(keep)[1]
        return (
            lists_of(keep.sum(axis=1), self.source_ids.take(column_of(places))),
            lists_of(keep.sum(axis=1), column_of(self.scores[places])),
        )


def fallback_list(sources: pa.Table, size: int) -> Fallback:
    """The `size` most popular eligible sources of contract.sources: by users, then weight, then smaller id."""
    eligible = sources.filter(pc.field("eligible")).select([name for name, _ in _ORDER])
    best = eligible.sort_by(_ORDER).slice(0, size)
    return Fallback(best["source_id"].combine_chunks(), numpy_of(best["users"]).astype(np.float32))
