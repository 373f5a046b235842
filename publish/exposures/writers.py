"""Which numbers of each writer were seen: what is missing was dropped, what comes twice is a duplicate."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Intervals = tuple[tuple[int, int], ...]
"""Disjoint half-open intervals, ascending, none adjacent to the next."""


def add_numbers(seen: Intervals, numbers: Sequence[int]) -> tuple[Intervals, NDArray[np.bool_]]:
    """Returns the intervals with `numbers` added, and for each of these whether it is new."""
    given = np.asarray(numbers, dtype=np.int64)
    values, first = np.unique(given, return_index=True)
    starts, ends = _columns(seen)
    place = np.searchsorted(starts, values, side="right") - 1
    known = np.zeros(len(values), dtype=bool)
    if len(starts):
        known = (place >= 0) & (values < ends[np.maximum(place, 0)])
    is_new = np.zeros(len(given), dtype=bool)
    is_new[first[~known]] = True
    return _merged(starts, ends, values[~known]), is_new


def count_of(seen: Intervals) -> int:
    """Returns how many numbers were seen."""
    return sum(end - start for start, end in seen)


def missing_of(seen: Intervals, logged: int | None) -> int:
    """Returns how many numbers below the highest one that is known were not seen; `logged`: as the writer said."""
    return max(logged or 0, seen[-1][1] if seen else 0) - count_of(seen)


def _columns(seen: Intervals) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    both = np.asarray(seen, dtype=np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def _merged(starts: NDArray[np.int64], ends: NDArray[np.int64], new: NDArray[np.int64]) -> Intervals:
    """Returns the union of disjoint intervals and single numbers outside of them."""
    starts, ends = np.concatenate([starts, new]), np.concatenate([ends, new + 1])
    order = np.argsort(starts)
    starts, ends = starts[order], ends[order]
    begins = np.concatenate([[True], starts[1:] != ends[:-1]]) if len(starts) else np.zeros(0, dtype=bool)
    stops = np.concatenate([begins[1:], [True]]) if len(starts) else begins
    return tuple(zip(starts[begins].tolist(), ends[stops].tolist(), strict=True))
