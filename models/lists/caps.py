"""Caps per category and owner, and a lowest score: rules on top of the ranking that keep it exact.

A list is filled greedily in rank order. Where a rule leaves a list short, more sources (n, 2n, 4n, …) are ranked for
its user, until the list is full, the scores fall below the limit, or there are no more candidates.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from conf.settings import ListSettings
from models.lists.candidates import Candidates
from models.ranking import TopN, rank_top_n
from models.ranking.compiled import compiled

_NO_CAP = 2**31 - 1

_FETCHED = 2**23
"""Most (user, source) entries ranked at once: 64 MiB, however deep a list has to be filled from."""


@dataclass(frozen=True)
class _Limits:
    per_category: int
    per_owner: int
    min_score: float


def best_lists(
    candidates: Candidates, user_factors: NDArray[np.float32], exclude: csr_matrix, settings: ListSettings
) -> TopN:
    """Returns the best n candidates (rows) of each user that keep the rules; padded as by rank_top_n.

    user_factors float32 (users, d); exclude (users, candidates).
    """
    limits = _limits(settings)
    best = TopN.empty(len(user_factors), settings.n)
    short, depth = np.arange(len(user_factors)), settings.n
    while len(short):
        step = max(1, _FETCHED // depth)
        still = []
        for start in range(0, len(short), step):
            some = short[start : start + step]
            ranked = rank_top_n(candidates.index, user_factors[some], depth, exclude=exclude[some])
            kept = _keep(ranked, candidates, limits, settings.n)
            best.ids[some], best.scores[some] = kept.ids, kept.scores
            still.append(some[_may_grow(ranked, kept, limits)])
        if depth >= len(candidates):
            break
        short, depth = np.concatenate(still), min(2 * depth, len(candidates))
    return best


def _may_grow(ranked: TopN, kept: TopN, limits: _Limits) -> NDArray[np.bool_]:
    """Returns whose list is short although the ranking has more candidates above the limit, bool (users,)."""
    short = kept.ids[:, -1] < 0
    return short & (ranked.ids[:, -1] >= 0) & (ranked.scores[:, -1] >= limits.min_score)


def _limits(settings: ListSettings) -> _Limits:
    return _Limits(
        _NO_CAP if settings.max_per_category is None else settings.max_per_category,
        _NO_CAP if settings.max_per_owner is None else settings.max_per_owner,
        -np.inf if settings.min_score is None else settings.min_score,
    )


def _keep(ranked: TopN, candidates: Candidates, limits: _Limits, n: int) -> TopN:
    kept = TopN.empty(len(ranked.ids), n)
    _fill(
        ranked.ids,
        ranked.scores,
        candidates.categories,
        candidates.owners,
        limits.per_category,
        limits.per_owner,
        limits.min_score,
        kept.ids,
        kept.scores,
    )
    return kept


@compiled
def _uses(codes: NDArray[np.int32], kept: NDArray[np.int32], count: int, code: int) -> int:
    """Returns how many of the first `count` kept sources have this code."""
    uses = 0
    for i in range(count):
        uses += codes[kept[i]] == code
    return uses


@compiled
def _fill(
    ranked: NDArray[np.int32],
    ranked_scores: NDArray[np.float32],
    categories: NDArray[np.int32],
    owners: NDArray[np.int32],
    per_category: int,
    per_owner: int,
    min_score: float,
    ids: NDArray[np.int32],
    scores: NDArray[np.float32],
) -> None:
    """Fills ids and scores (users, n) from the ranking (users, depth) in its order, skipping what a limit forbids."""
    n = ids.shape[1]
    for u in range(ranked.shape[0]):
        count = 0
        for place in range(ranked.shape[1]):
            source = ranked[u, place]
            if source < 0 or count == n or ranked_scores[u, place] < min_score:
                break
            category, owner = categories[source], owners[source]
            if category >= 0 and count >= per_category and _uses(categories, ids[u], count, category) >= per_category:
                continue
            if owner >= 0 and count >= per_owner and _uses(owners, ids[u], count, owner) >= per_owner:
                continue
            ids[u, count], scores[u, count] = source, ranked_scores[u, place]
            count += 1
