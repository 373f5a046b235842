"""Metrics of a list for one user, computed for many users at once.

Definitions, with binary relevance, for a user with truth T and a list L cut at k:

- Recall@k = |L ∩ T| / |T|
- NDCG@k   = Σ_{hits at rank r} 1/log2(r + 1) / Σ_{r = 1 … min(k, |T|)} 1/log2(r + 1)   (Järvelin, Kekäläinen 2002)
- MAP@k    = Σ_{hits at rank r} (hits up to r) / r / min(k, |T|)

trec_eval differs: its map_cut_k divides by |T|, so that a perfect list of k < |T| sources stays below 1; it sorts a
list by score and equal scores by descending id, while here the list's own order counts; it leaves users without a list
out of the mean, while here they count with the list that they are served. Its recall_k and ndcg_cut_k are the same.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.arrays.arrow import ListColumn, lengths_of, numpy_of

PerUser = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ListScores:
    """Metrics of each user, float64 (users,); the fields are `conf.contract.METRICS`."""

    ndcg: PerUser
    recall: PerUser
    map: PerUser

    def where(self, chosen: NDArray[np.bool_], other: "ListScores") -> "ListScores":
        """Returns these scores for the chosen users and `other`'s for the rest."""
        return ListScores(**{name: np.where(chosen, own, vars(other)[name]) for name, own in vars(self).items()})


def score_lists(lists: ListColumn, truths: ListColumn, k: int) -> ListScores:
    """Scores one list per user (best first, no duplicates; null counts as empty) against the user's truth."""
    return score_hits(find_hits(lists, truths), lengths_of(lists), lengths_of(truths), k)


def score_hits(hit: NDArray[np.bool_], lengths: NDArray[np.int64], wanted: NDArray[np.int64], k: int) -> ListScores:
    """Scores lists from their hits, bool (Σ lengths,) list after list; `wanted` (users,) counts the truths."""
    users = np.repeat(np.arange(len(lengths)), lengths)
    ranks = np.arange(len(users)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + 1
    hit = hit & (ranks <= k)
    users, ranks = users[hit], ranks[hit]
    hits = np.bincount(users, minlength=len(lengths))
    hits_so_far = np.arange(len(users)) - np.repeat(np.cumsum(hits) - hits, hits) + 1
    reachable = np.minimum(wanted, k)
    discounts = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([[0.0], np.cumsum(discounts)])[reachable]
    return ListScores(
        ndcg=_ratio(np.bincount(users, discounts[ranks - 1], len(lengths)), ideal),
        recall=_ratio(hits, wanted),
        map=_ratio(np.bincount(users, hits_so_far / ranks, len(lengths)), reachable),
    )


def find_hits(lists: ListColumn, truths: ListColumn) -> NDArray[np.bool_]:
    """Returns for each entry, list after list, whether its source is in the truth of its user."""
    users = np.repeat(np.arange(len(lists)), lengths_of(lists))
    listed = lists.flatten()
    both = pa.concat_arrays([listed, truths.flatten()]).dictionary_encode()
    codes = numpy_of(both.indices).astype(np.int64)
    owners = np.concatenate([users, np.repeat(np.arange(len(truths)), lengths_of(truths))])
    pairs = owners * len(both.dictionary) + codes
    return np.isin(pairs[: len(listed)], pairs[len(listed) :])


def _ratio(part: NDArray[np.float64] | NDArray[np.int64], whole: NDArray[np.float64] | NDArray[np.int64]) -> PerUser:
    """Returns part / whole, and 0 where whole is 0."""
    return np.divide(part, whole, out=np.zeros(len(whole)), where=whole > 0)


def spread(histogram: list[tuple[int, int]], eligible: int) -> tuple[float, float]:
    """Returns coverage and Gini coefficient from (places, sources with that many places ≥ 1) in ascending order.

    Coverage: share of the eligible sources with a place. Gini: 0 when all eligible sources have equally many places,
    towards 1 when a few have all of them.
    """
    listed = sum(sources for _, sources in histogram)
    total = sum(places * sources for places, sources in histogram)
    size = max(eligible, listed)
    if not total:
        return 0.0, 0.0
    weighted, before = 0.0, size - listed
    for places, sources in histogram:  # Σ places · rank over ascending ranks, a run of equal places at a time
        weighted += places * sources * (before + (sources + 1) / 2)
        before += sources
    return listed / size, 2 * weighted / (size * total) - (size + 1) / size
