"""Arithmetic of the statistics that needs nothing but counts."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Number = tuple[str, float, float] | tuple[str, float, float, str]
"""Name of a statistic, value, number of what it is a share or a mean of; a note on it, if there is one."""


def top_share(sizes: Mapping[int, int], share: float) -> float:
    """Returns the part that the largest `share` of all have in the sum; a fraction of the last one counts in part.

    sizes: size → number of those of that size; not empty.
    """
    ordered = sorted(sizes.items(), reverse=True)
    left, top = share * sum(sizes.values()), 0.0
    for size, count in ordered:
        taken = min(count, left)
        top, left = top + size * taken, left - taken
    return top / sum(size * count for size, count in ordered)


def sizes_of(counts: NDArray[np.int64]) -> dict[int, int]:
    """Returns size → how many of `counts` are of that size; zeros are left out."""
    sizes, times = np.unique(counts[counts > 0], return_counts=True)
    return dict(zip(sizes.tolist(), times.tolist(), strict=True))


def distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Returns the total variation distance of two histograms that are not empty, 0 … 1."""
    return float(np.abs(one / one.sum() - other / other.sum()).sum() / 2)
