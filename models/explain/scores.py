"""Scores of one user with all sources: screened in float32, and exact, bit for bit as `models.ranking` has them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from models.ranking.rounding import error_of_unit_product, underflow

Factors = NDArray[np.float32]
Rows = NDArray[np.int64]
_LANES = 16
_AT_ONCE = 2**15


def exact_scores(user: Factors, sources: Factors) -> Factors:
    """Returns the score of a user (d,) with each of the sources (n, d), float32, as `models.ranking.vectors.dot`.

    Sums in float64 in that order, rounded once.
    """
    found = np.empty(len(sources), np.float32)
    for start in range(0, len(sources), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        found[part] = _exact(user.astype(np.float64), sources[part])
    return found


def _exact(user: NDArray[np.float64], sources: Factors) -> Factors:
    products = sources.astype(np.float64) * user
    whole = len(user) // _LANES * _LANES
    lanes = np.zeros((len(sources), _LANES))
    for first in range(0, whole, _LANES):
        lanes += products[:, first : first + _LANES]
    for width in (8, 4, 2, 1):
        lanes = lanes[:, :width] + lanes[:, width:]
    tail = np.zeros(len(sources))
    for column in range(whole, len(user)):
        tail += products[:, column]
    rounded: Factors = (lanes[:, 0] + tail).astype(np.float32)
    return rounded


@dataclass(frozen=True, eq=False)
class UserScores:
    """A user's scores with all sources of a training, whose rows are in the order of their ids."""

    user: Factors
    sources: Factors
    longest: float
    """The largest norm of a source."""

    @cached_property
    def about(self) -> Factors:
        """All scores, float32, each at most `margin` from the exact one."""
        found: Factors = self.sources @ self.user
        return found

    @cached_property
    def margin(self) -> float:
        """The proved bound on the error of `about`."""
        d, norm = len(self.user), float(np.linalg.norm(self.user.astype(np.float64)))
        return error_of_unit_product(d) * norm * self.longest * (1 + 1e-6) + underflow(d)

    def exact(self, rows: Rows) -> Factors:
        """Returns the exact scores of these rows."""
        return exact_scores(self.user, self.sources[rows])

    def from_the_best(self, least: float) -> tuple[Rows, Factors]:
        """Returns the rows whose score may be `least` or more, in the order of the ranking, and their exact scores."""
        rows = np.flatnonzero(self.about >= _below(least - self.margin))
        scores = self.exact(rows)
        order = np.lexsort((rows, -scores))  # ties: the smaller row first
        return rows[order], scores[order]

    def rank(self, row: int) -> int:
        """Returns the place of a source among all, from 1."""
        score = float(self.exact(np.array([row]))[0])
        low, high = _below(score - self.margin), -_below(-score - self.margin)
        surely = int(np.count_nonzero(self.about > high))
        near = np.flatnonzero((self.about >= low) & (self.about <= high))
        exact = self.exact(near)
        return 1 + surely + int(np.count_nonzero((exact > score) | ((exact == score) & (near < row))))


def _below(value: float) -> np.float32:
    """Returns a float32 that is smaller, since a comparison would round the value."""
    smaller: np.float32 = np.nextafter(np.float32(value), np.float32(-np.inf))
    return smaller
