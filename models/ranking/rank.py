"""Ranks the top N of many users: seeds, then a walk for each block of users."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from models.errors import BadFactors
from models.ranking.block import Block, Walk, WalkCounts
from models.ranking.exclusions import Exclusions
from models.ranking.forms import FASTEST
from models.ranking.index import SourceIndex, check_factors
from models.ranking.lists import BestSoFar
from models.ranking.rounding import check_no_overflow, rounds_to_zero
from models.ranking.seeds import find_seeds

USER_BLOCK = 384
"""Users that are ranked together: their data stays in a core's cache."""
_BITS = 2**26
"""Most bytes of exclusion bits in a block, however many sources there are."""


@dataclass(frozen=True, eq=False)
class TopN:
    """Best sources per user, best first: ids int32 (users, n) padded with −1, scores float32 padded with −inf."""

    ids: NDArray[np.int32]
    scores: NDArray[np.float32]

    @classmethod
    def empty(cls, users: int, n: int) -> "TopN":
        """Returns lists without any source."""
        return cls(np.full((users, n), -1, np.int32), np.full((users, n), -np.inf, np.float32))


def rank_top_n(
    index: SourceIndex, user_factors: NDArray[np.float32], n: int, *, exclude: csr_matrix | None = None
) -> TopN:
    """Returns the n best sources of each user by inner product, exact; ties by smaller source row.

    user_factors float32 (users, d); exclude (users, sources): its stored entries, whatever their value, are never
    returned. Efficient from some thousand users on. Raises BadFactors on NaN, infinite or overflowing values and on
    shapes that do not fit.
    """
    return rank_counted(index, user_factors, n, exclude, FASTEST)[0]


def rank_counted(
    index: SourceIndex, user_factors: NDArray[np.float32], n: int, exclude: csr_matrix | None, walk: Walk
) -> tuple[TopN, WalkCounts]:
    """Works like `rank_top_n` with a given walk (`forms.FORMS`). Returns the work, seeds included, as well."""
    factors, norms = check_factors(user_factors, "user")
    if n < 1 or factors.shape[1] != index.dimensions:
        raise BadFactors(f"n = {n} of user factors {factors.shape} with sources of {index.dimensions} factors")
    exclusions = Exclusions.of(exclude, len(factors), len(index))
    longest = float(index.sources.norms[0])
    check_no_overflow(float(norms.max(initial=0.0)), longest)
    top = TopN.empty(len(factors), n)
    silent = rounds_to_zero(norms * longest)
    _serve_silent(index, np.flatnonzero(silent), exclusions, top)
    return top, _serve(index, factors, norms, np.flatnonzero(~silent), exclusions, top, walk)


def _serve_silent(index: SourceIndex, users: NDArray[np.int64], exclusions: Exclusions, top: TopN) -> None:
    """Fills the lists of users whose scores are all 0 with the smallest rows; a walk would look at every source."""
    for user in users:
        exclusions.first_allowed(user, top.ids[user], len(index))
    top.scores[users] = np.where(top.ids[users] >= 0, np.float32(0), -np.inf)


def _serve(
    index: SourceIndex,
    factors: NDArray[np.float32],
    norms: NDArray[np.float64],
    users: NDArray[np.int64],
    exclusions: Exclusions,
    top: TopN,
    walk: Walk,
) -> WalkCounts:
    """Fills the lists of the other users, block by block, similar users together. Returns the work."""
    panels, n = len(index.panels.codes), min(top.ids.shape[1], len(index))
    width = min(len(users), max(1, min(USER_BLOCK, _BITS // (8 * panels))))
    bits, lists = np.empty((width, panels), np.uint64), BestSoFar.empty(width, n)
    seeds, counts = find_seeds(index, factors[users], norms[users], n, bits, walk)
    by_cluster = np.arange(len(users)) if seeds is None else np.argsort(seeds.clusters, kind="stable")
    for start in range(0, len(users), max(1, width)):
        members = by_cluster[start : start + width]
        some = users[members]
        bits.fill(0)
        lists.clear()
        own, excluded = exclusions.take(some), bits[: len(some)]
        own.mark(excluded, index.sources.ranks)
        wide = factors[some].astype(np.float64)
        block = Block(factors[some], wide, norms[some], own, excluded, lists.part(slice(len(some))))
        if seeds is not None:
            counts += seeds.fill(index, members, block)
        counts += walk(index, block)
        block.lists.write(some, top.ids, top.scores)
    return counts
