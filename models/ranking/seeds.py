"""Sets a bar for every user before the walk begins, by scoring what similar users get.

A walk is short when the bar is high from its first panel on. So the users of a call are put into clusters of about the
same direction (spherical k-means on a sample; Dhillon and Modha 2001), the best sources of each cluster's centre are
ranked, some more than n of them, and of these a user's list is given those that are best for this user, as far as a
matrix product in float32 can tell, with their scores. The n-th best of any n sources that a user may get is a lower
bound of the n-th best of all, whatever the clusters are worth: bad ones make the walk longer, never the lists wrong.

So a process keeps its clusters from call to call. They are found anew when four times as many users have come since.
"""

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from models.ranking.block import Block, Walk, WalkCounts
from models.ranking.compiled import compiled
from models.ranking.exclusions import Bits, Exclusions, exclude_source
from models.ranking.index import SourceIndex
from models.ranking.lists import BestSoFar, offer, raise_bar
from models.ranking.vectors import at_least, count_bits, dot, lowest_bit

_CLUSTERS = 128
_USERS_PER_CLUSTER = 64
"""With fewer users, ranking the centre does not pay off."""
_SOURCES_PER_SEED = 4
"""With fewer sources per seed, a walk would look at most of them anyway."""
_SAMPLE = 1024
_ROUNDS = 3
_CUTS = 12
"""Most bisections in search of the score that n seeds reach."""
_KEPT_FOR = 4
"""Clusters are found anew when this many times as many users have come as before they were found."""


@dataclass(eq=False)
class _Clusters:
    """The clusters for an index and an n, and the number of users that have come so far and had when they were found.

    centres float32 (c, d); ranks int32 (c, length): positions in the index of the best sources of each centre.
    """

    users: int = 0
    found_after: int = 0
    centres: NDArray[np.float32] | None = None
    ranks: NDArray[np.int32] | None = None


_KEPT: WeakKeyDictionary[SourceIndex, dict[int, _Clusters]] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Seeds:
    """The cluster of each user of a call, int64 (users,), and ranks int32 (clusters, length) as in `_Clusters`.

    The other arrays are memory that is used again for each cluster.
    """

    clusters: NDArray[np.int64]
    ranks: NDArray[np.int32]
    factors: NDArray[np.float32]
    scores: NDArray[np.float32]
    places: NDArray[np.int32]

    def fill(self, index: SourceIndex, users: NDArray[np.int64], block: Block) -> WalkCounts:
        """Fills the lists of a block with seeds and raises its bars; `users` of the call are the block's, by cluster.

        Seeds have their scores by then: they are excluded from the walk.
        """
        counts = WalkCounts()
        clusters = self.clusters[users]
        starts = np.flatnonzero(np.diff(clusters, prepend=-1)).tolist()
        for start, stop in zip(starts, [*starts[1:], len(users)], strict=True):
            counts += self._fill(index, self.ranks[clusters[start]], block.part(start, stop))
        return counts

    def _fill(self, index: SourceIndex, ranks: NDArray[np.int32], block: Block) -> WalkCounts:
        sources = index.sources
        sources.factors.take(ranks, axis=0, out=self.factors, mode="clip")
        scores = np.matmul(block.factors, self.factors.T, out=self.scores[: len(block.factors)])
        longest = float(sources.norms[ranks.min()]) * (1 + 1e-4)
        return WalkCounts(scores.size, _fill(scores, self.factors, ranks, sources.rows, longest, self.places, block))


def find_seeds(
    index: SourceIndex, factors: NDArray[np.float32], norms: NDArray[np.float64], n: int, bits: Bits, walk: Walk
) -> tuple[Seeds | None, WalkCounts]:
    """Returns the seeds for users float32 (users, d) of norms > 0, and the work of finding them.

    bits (block, panels): memory for the exclusions of the users that are ranked together. Returns None instead of seeds
    when users or sources are too few for them to pay off.
    """
    length = -(-(5 * n // 2 + 80) // 64) * 64  # of the order of n, also without what a user has seen
    if not len(factors) or _SOURCES_PER_SEED * length > len(index):
        return None, WalkCounts()
    kept = _KEPT.setdefault(index, {}).setdefault(n, _Clusters())
    kept.users += len(factors)
    units = (factors / norms[:, None]).astype(np.float32)
    counts = WalkCounts()
    if kept.users >= _KEPT_FOR * kept.found_after:
        counts = _find(index, kept, units, length, bits, walk)
    if kept.centres is None or kept.ranks is None:
        return None, counts
    seeds = Seeds(
        (units @ kept.centres.T).argmax(axis=1),
        kept.ranks,
        np.empty((length, index.dimensions), np.float32),
        np.empty((len(bits), length), np.float32),
        np.zeros(len(index), np.int32),
    )
    return seeds, counts


def _find(
    index: SourceIndex, kept: _Clusters, units: NDArray[np.float32], length: int, bits: Bits, walk: Walk
) -> WalkCounts:
    """Finds the clusters of users of norm 1, as many as the users so far justify, if that is more than one."""
    count = min(_CLUSTERS, kept.users // _USERS_PER_CLUSTER, len(units), len(bits))
    if count < 2:
        return WalkCounts()
    centres = _centres(units, count)
    rows, counts = _best_of_centres(index, centres, length, bits[:count], walk)
    kept.found_after, kept.centres, kept.ranks = kept.users, centres, index.sources.ranks[rows]
    return counts


def _centres(units: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Returns centres float32 (count, d) of norm 1 of some of the users, by a few rounds of k-means."""
    sample = units[:: max(1, len(units) // _SAMPLE)][:_SAMPLE]
    centres = sample[:: len(sample) // count][:count]
    for _ in range(_ROUNDS):
        nearest = (sample @ centres.T).argmax(axis=1)
        ones, starts = np.ones(len(sample), np.float32), np.arange(len(sample) + 1)
        sums = csr_matrix((ones, nearest, starts), shape=(len(sample), count)).T @ sample
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(lengths > 0, sums / np.where(lengths > 0, lengths, 1), centres)
    return np.ascontiguousarray(centres)


def _best_of_centres(
    index: SourceIndex, centres: NDArray[np.float32], length: int, bits: Bits, walk: Walk
) -> tuple[NDArray[np.int32], WalkCounts]:
    count = len(centres)
    wide, lists = centres.astype(np.float64), BestSoFar.empty(count, length)
    bits.fill(0)
    exclusions = Exclusions.of(None, count, len(index))
    counts = walk(index, Block(centres, wide, np.linalg.norm(wide, axis=1), exclusions, bits, lists))
    rows, scores = np.empty((count, length), np.int32), np.empty((count, length), np.float32)
    lists.write(np.arange(count), rows, scores)
    return rows, counts


@compiled
def _bar_of_best(scores: NDArray[np.float32], user: int, n: int, high: np.float32, guess: np.float32) -> np.float32:
    """Returns a number that n or slightly more of a user's scores reach; if there are fewer, all finite ones reach it.

    high is above all scores, −high below all finite ones.
    """
    row = scores.ctypes.data + user * scores.shape[1] * 4
    low, middle = -high, guess
    for _ in range(_CUTS):
        reached = 0
        for start in range(0, scores.shape[1], 64):
            reached += count_bits(at_least(row + start * 4, middle))
        if reached < n:
            high = middle
        else:
            low = middle
            if reached <= n + (n >> 2):
                break
        middle = np.float32(0.5) * (low + high)
    return low


@compiled
def _fill(
    scores: NDArray[np.float32],
    factors: NDArray[np.float32],
    ranks: NDArray[np.int32],
    rows: NDArray[np.int32],
    longest: float,
    places: NDArray[np.int32],
    block: Block,
) -> int:
    """Fills the lists of a cluster's users with seeds. Returns how many sources were scored.

    scores: approximate ones (m, l) of the sources `factors` (l, d) at positions ranks (l,) of the index; longest is
    above the norms of these; places int32 (all sources) is 0 before and after, and meanwhile 1 + the position of a
    source among the seeds.
    """
    dimensions, scored, guess = factors.shape[1], 0, 0.3 * longest
    for place in range(len(ranks)):
        places[rows[ranks[place]]] = place + 1
    for user in range(len(scores)):
        for at in range(block.exclusions.starts[user], block.exclusions.stops[user]):
            place = places[block.exclusions.rows[at]]
            if place:
                scores[user, place - 1] = -np.inf
        norm = block.norms[user]
        least = _bar_of_best(scores, user, block.lists.n, np.float32(norm * longest), np.float32(norm * guess))
        guess = least / norm  # users of a cluster are alike
        for start in range(0, scores.shape[1], 64):
            mask = at_least(scores.ctypes.data + (user * scores.shape[1] + start) * 4, least)
            while mask != 0:
                place = start + lowest_bit(mask)
                mask &= mask - np.uint64(1)
                x, y = block.wide.ctypes.data + user * dimensions * 8, factors.ctypes.data + place * dimensions * 4
                offer(block.lists, user, dot(x, y, dimensions), rows[ranks[place]])
                exclude_source(block.excluded, user, ranks[place])
                scored += 1
        raise_bar(block.lists, user)
    for rank in ranks:
        places[rows[rank]] = 0
    return scored
