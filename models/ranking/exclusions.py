"""The sources that a user must not get, as bits in the order of the index.

With a bit per source and user of a block, one operation removes a panel's excluded sources from 64 candidates before
any of them is scored: the sources that users have seen are the ones that score highest.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from models.errors import BadFactors
from models.ranking.compiled import compiled, inlined

Bits = NDArray[np.uint64]


class Exclusions(NamedTuple):
    """Source rows that each user must not get, in any order: rows[starts[u]:stops[u]]."""

    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    rows: NDArray[np.int32]

    @classmethod
    def of(cls, exclude: csr_matrix | None, users: int, sources: int) -> "Exclusions":
        """Returns the stored entries of a matrix (users, sources). Raises BadFactors on another shape."""
        if exclude is None:
            nothing = np.zeros(users, np.int64)
            return cls(nothing, nothing, np.zeros(0, np.int32))
        if exclude.shape != (users, sources):
            raise BadFactors(f"exclude has shape {exclude.shape}, {users} users and {sources} sources need it to match")
        indptr = exclude.indptr.astype(np.int64, copy=False)
        return cls(indptr[:-1], indptr[1:], exclude.indices.astype(np.int32, copy=False))

    def take(self, users: NDArray[np.int64] | slice) -> "Exclusions":
        """Returns the exclusions of these users."""
        return Exclusions(self.starts[users], self.stops[users], self.rows)

    def mark(self, bits: Bits, ranks: NDArray[np.int32]) -> None:
        """Sets the users' bits (users, panels); ranks (sources,) are the positions of rows in the index."""
        _mark(self, bits, ranks)

    def first_allowed(self, user: int, allowed: NDArray[np.int32], sources: int) -> None:
        """Fills `allowed` with the smallest source rows that a user may get; the rest stays unchanged."""
        rows = self.rows[self.starts[user] : self.stops[user]]
        taken = np.zeros(min(sources, len(allowed) + len(rows)), np.bool_)
        taken[rows[rows < len(taken)]] = True
        smallest = np.flatnonzero(~taken)[: len(allowed)]
        allowed[: len(smallest)] = smallest


@inlined
def exclude_source(bits: Bits, user: int, rank: int) -> None:
    """Sets the bit of the source at position `rank`."""
    bits[user, rank >> 6] |= np.uint64(1) << np.uint64(rank & 63)


@compiled
def _mark(exclusions: Exclusions, bits: Bits, ranks: NDArray[np.int32]) -> None:
    for user in range(len(exclusions.starts)):
        for at in range(exclusions.starts[user], exclusions.stops[user]):
            exclude_source(bits, user, ranks[exclusions.rows[at]])
