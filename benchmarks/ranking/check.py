"""Compares lists with brute force in float64."""

from dataclasses import dataclass

import numpy as np

from benchmarks.ranking.factors import FactorSet
from models.ranking import TopN

TOLERANCE = 1e-5
"""Allowed relative error of a score against float64; ids may differ where scores differ by less."""
_BYTES = 2**27


@dataclass(frozen=True)
class Check:
    """Users compared, users whose list is wrong, and the largest relative error of a score."""

    users: int = 0
    wrong: int = 0
    worst: float = 0.0

    def __add__(self, other: "Check") -> "Check":
        return Check(self.users + other.users, self.wrong + other.wrong, max(self.worst, other.worst))


def check_lists(factors: FactorSet, first: int, top: TopN) -> Check:
    """Compares the lists of consecutive users, beginning with user `first`."""
    sources = factors.sources.astype(np.float64)
    step, whole = max(1, _BYTES // sources[:, 0].nbytes), Check()
    for start in range(0, len(top.ids), step):
        part = TopN(top.ids[start : start + step], top.scores[start : start + step])
        whole += _check_block(factors, sources, first + start, part)
    return whole


def _check_block(factors: FactorSet, sources: np.ndarray, first: int, top: TopN) -> Check:
    n = top.ids.shape[1]
    rows = slice(first, first + len(top.ids))
    scores = factors.users[rows].astype(np.float64) @ sources.T
    excluded = factors.exclusions[rows]
    scores[np.repeat(np.arange(len(top.ids)), np.diff(excluded.indptr)), excluded.indices] = -np.inf
    kept = min(n, len(sources))
    best = np.full(top.scores.shape, -np.inf)
    best[:, :kept] = -np.sort(-np.partition(scores, -kept, axis=1)[:, -kept:], axis=1)
    own = np.where(top.ids >= 0, np.take_along_axis(scores, top.ids.astype(np.int64), axis=1), -np.inf)
    # The k-th id must score like the k-th best, its listed score must agree, and no id may come twice.
    error = np.maximum(_relative(own, best), _relative(top.scores, best))
    ids = np.sort(top.ids, axis=1)
    twice = ((ids[:, 1:] == ids[:, :-1]) & (ids[:, 1:] >= 0)).any(axis=1)
    wrong = (error > TOLERANCE).any(axis=1) | twice
    return Check(len(wrong), int(wrong.sum()), float(error.max(initial=0.0)))


def _relative(found: np.ndarray, best: np.ndarray) -> np.ndarray:
    """Returns |found − best| ÷ |best|; 0 where they are equal, infinities and zeros included."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(found == best, 0.0, np.abs(found - best) / np.abs(best))
