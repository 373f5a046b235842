"""The walk on any CPU: a matrix product (BLAS, float32) screens a block of users against a block of sources.

An approximate score is within `error_of_unit_product` · |user| · |source| of the score (`rounding`), so a pair whose
approximate score is further than that below its user's bar cannot pass it. The others are scored.
"""

import numpy as np
from numpy.typing import NDArray

from models.ranking.block import Block, WalkCounts
from models.ranking.compiled import compiled
from models.ranking.index import SourceIndex, Sources
from models.ranking.lists import offer, score_of
from models.ranking.rounding import error_of_unit_product, underflow
from models.ranking.stop import drop_finished
from models.ranking.vectors import at_least, dot, lowest_bit

SOURCES = 512
"""Sources that are screened together, a multiple of 64: their scores for a block of users stay in the cache."""


def walk(index: SourceIndex, block: Block) -> WalkCounts:
    """Offers every source that can still enter a list to the lists of a block of users."""
    sources, error = index.sources, error_of_unit_product(index.dimensions)
    active = np.arange(len(block.factors))
    approximate = np.empty((len(active), SOURCES), np.float32)
    counts = WalkCounts()
    for start in range(0, len(index), SOURCES):
        longest = float(sources.norms[start])
        active = active[: drop_finished(active, len(active), block.norms, longest, block.lists.least)]
        if not len(active):
            break
        users = block.factors if len(active) == len(block.factors) else block.factors[active]
        some = sources.factors[start : start + SOURCES]
        np.matmul(users, some.T, out=approximate[: len(users), : len(some)])
        approximate[:, len(some) :] = -np.inf
        errors = block.norms[active] * (longest * error) + underflow(index.dimensions)
        candidates = _offer_candidates(approximate, errors, active, start, len(some), sources, block)
        counts += WalkCounts(len(users) * len(some), candidates)
    return counts


@compiled
def _bar_of(score: np.float32, error: float) -> np.float32:
    """Returns what an approximate score must reach for the score to reach `score`; finite (−inf: no source)."""
    return np.float32(
        max(np.float64(score) - error - 2.0**-22 * abs(score), -3e38)
    )  # the third term: this rounding to float32


@compiled
def _offer_candidates(
    approximate: NDArray[np.float32],
    errors: NDArray[np.float64],
    active: NDArray[np.int64],
    first: int,
    count: int,
    sources: Sources,
    block: Block,
) -> int:
    """Offers sources first … first + count − 1 to the active users: approximate (active, SOURCES), errors (active,)."""
    width, dimensions = approximate.shape[1], sources.factors.shape[1]
    candidates = 0
    for at in range(len(active)):
        user = active[at]
        for start in range(0, count, 64):
            bar = _bar_of(score_of(block.lists.least[user]), errors[at])
            mask = at_least(approximate.ctypes.data + (at * width + start) * 4, bar)
            if mask == 0:
                continue
            mask &= ~block.excluded[user, (first + start) >> 6]
            while mask != 0:
                source = first + start + lowest_bit(mask)
                mask &= mask - np.uint64(1)
                x = block.wide.ctypes.data + user * dimensions * 8
                y = sources.factors.ctypes.data + source * dimensions * 4
                offer(block.lists, user, dot(x, y, dimensions), sources.rows[source])
                candidates += 1
    return candidates
