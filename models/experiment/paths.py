"""Paths of Z-values that depend on all looks before, not on the last one alone.

Means over the same users in uneven weeks are not efficient: what a look says goes beyond the last one. Here paths are
drawn inside the bounds, look by look, and weighed by the probability of staying there (Genz 1992). Points are Sobol's
with one seed, so that the same looks always have the same bounds: to ± .01, where 4,096 points are drawn.
"""

import functools

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Floats = NDArray[np.float64]

LEAST_NEWS = 1e-6
"""Two looks whose Z-values share all but this part of their variance are one look."""
_POINTS, _MOST_LOOKS = 4_096, 64
_SPREAD = 1.2
"""Deviation of what is drawn: more than 1, for those near a bound are those that may cross the next."""


class Paths:
    """Paths that have not left their bounds; as `sequential._Walk` is, but for looks of any correlation."""

    def __init__(self, correlation: Floats) -> None:
        self._correlation = correlation
        self._looks, self._roots = list[int](), list[Floats]()
        self._news = np.zeros((0, _POINTS))
        self._weight = np.full(_POINTS, 1 / _POINTS)
        self._mean, self._deviation = np.zeros(_POINTS), 1.0

    def enter(self, look: int) -> bool:
        """Moves to a look; returns whether it brings anything new."""
        root = np.zeros(0)  # a row of Cholesky's factor, by the looks that were entered
        for known, before in zip(self._looks, self._roots, strict=True):
            left = self._correlation[known, look] - before[:-1] @ root
            root = np.append(root, left / before[-1])
        news = 1 - float(root @ root)
        if news < LEAST_NEWS:
            return False
        self._mean, self._deviation = root @ self._news, news**0.5
        self._looks.append(look)
        self._roots.append(np.append(root, self._deviation))
        return True

    def leave(self, low: float, high: float) -> None:
        """Keeps the paths that are within these bounds at this look."""
        ends = [(bound - self._mean) / self._deviation / _SPREAD for bound in (low, high)]
        below, above = map(ndtr, ends)
        inside = below + _points()[len(self._looks) - 1] * (above - below)
        news = _SPREAD * ndtri(np.clip(inside, 1e-300, 1 - 1e-16))
        self._news = np.vstack([self._news, news])
        self._weight = self._weight * (above - below) * _SPREAD * np.exp((_SPREAD**-2 - 1) * news**2 / 2)

    def above(self, z: float) -> float:
        """Returns the probability of a value above `z` at this look."""
        return float(ndtr((self._mean - z) / self._deviation) @ self._weight)

    def below(self, z: float) -> float:
        """Returns the probability of a value below `z` at this look."""
        return float(ndtr((z - self._mean) / self._deviation) @ self._weight)


@functools.cache
def _points() -> Floats:
    """Returns the points by coordinate, 0 … 1."""
    from scipy.stats.qmc import Sobol  # here: it is slow to import, and many looks need none

    return np.ascontiguousarray(Sobol(_MOST_LOOKS, rng=1).random(_POINTS).T)
