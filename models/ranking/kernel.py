"""The compiled inner loops. Each user keeps the n best (score, source) seen so far as a min-heap of 64-bit keys.

A key holds the score's bits, turned so that unsigned order is the order of the numbers, above the complement of the
source row: one integer comparison orders by score, ties by smaller row. 0 is an empty place, below every real key.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

_Function = TypeVar("_Function", bound=Callable[..., Any])

_STRIDE = 32
"""Approximate scores looked at together; a whole stride without a hit costs two vector comparisons."""

Keys = NDArray[np.uint64]


def compiled(function: _Function) -> _Function:
    """The function compiled at its first call, without reordering of floating-point operations, and kept on disk."""
    return cast(_Function, njit(cache=True, error_model="numpy")(function))


@compiled
def dot(x: NDArray[np.float32], y: NDArray[np.float32]) -> np.float32:
    """The score of a pair: products and four partial sums in float64, rounded to float32 once."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    whole = len(x) - len(x) % 4
    for i in range(0, whole, 4):
        a += np.float64(x[i]) * np.float64(y[i])
        b += np.float64(x[i + 1]) * np.float64(y[i + 1])
        c += np.float64(x[i + 2]) * np.float64(y[i + 2])
        d += np.float64(x[i + 3]) * np.float64(y[i + 3])
    for i in range(whole, len(x)):
        a += np.float64(x[i]) * np.float64(y[i])
    return np.float32((a + b) + (c + d))


@compiled
def key_of(score: np.float32, source: int) -> np.uint64:
    """Sortable key of a finite score and a source row."""
    bits = np.uint64(np.float32(score + np.float32(0.0)).view(np.uint32))  # adding 0 makes −0 and 0 equal
    ordered = bits ^ np.uint64(0xFFFFFFFF) if bits >> np.uint64(31) else bits | np.uint64(0x80000000)
    return np.uint64((ordered << np.uint64(32)) | (np.uint64(0xFFFFFFFF) - np.uint64(source)))


@compiled
def score_of(key: np.uint64) -> np.float32:
    """The score in a key; −inf of an empty place."""
    if key == np.uint64(0):
        return np.float32(-np.inf)
    ordered = np.uint32(key >> np.uint64(32))
    bits = ordered ^ np.uint32(0x80000000) if ordered >> np.uint32(31) else ~ordered
    return np.uint32(bits).view(np.float32)


@compiled
def replace_worst(heap: Keys, key: np.uint64) -> None:
    """Puts `key` into the place of the smallest key of the heap."""
    at, child = 0, 1
    while child < len(heap):
        if child + 1 < len(heap) and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= key:
            break
        heap[at] = heap[child]
        at, child = child, 2 * child + 1
    heap[at] = key


@compiled
def holds(sorted_rows: NDArray[np.int32], row: int) -> bool:
    """Whether `row` is among the rows."""
    low, high = 0, len(sorted_rows)
    while low < high:
        middle = (low + high) // 2
        if sorted_rows[middle] < row:
            low = middle + 1
        else:
            high = middle
    return low < len(sorted_rows) and sorted_rows[low] == row


@compiled
def screen(heap: Keys, error: float) -> np.float32:
    """The approximate score below which a pair's score is surely below the worst kept one."""
    worst = np.float64(score_of(heap[0]))
    return np.float32(worst - error - 2.0**-22 * abs(worst)) if heap[0] else np.float32(-np.inf)


@compiled
def push_candidates(
    approximate: NDArray[np.float32],
    users: NDArray[np.float32],
    errors: NDArray[np.float64],
    factors: NDArray[np.float32],
    order: NDArray[np.int32],
    indptr: NDArray[np.int64],
    excluded: NDArray[np.int32],
    places: NDArray[np.int64],
    heaps: Keys,
) -> None:
    """Offers a block of sources to a block of users: approximate (m, b), users (m, d), factors (b, d), order (b,).

    errors (m,): largest error of an approximate score; places (m,): row of each user in heaps (users, n) and in the
    exclusions (indptr, excluded rows ascending within a user).
    """
    width = approximate.shape[1]
    for u in range(approximate.shape[0]):
        heap = heaps[places[u]]
        barred = excluded[indptr[places[u]] : indptr[places[u] + 1]]
        least = screen(heap, errors[u])
        for start in range(0, width, _STRIDE):
            stop = min(start + _STRIDE, width)
            hits = 0
            for s in range(start, stop):
                hits += approximate[u, s] >= least
            if hits == 0:
                continue
            for s in range(start, stop):
                if approximate[u, s] >= least and not holds(barred, order[s]):
                    key = key_of(dot(users[u], factors[s]), order[s])
                    if key > heap[0]:
                        replace_worst(heap, key)
                        least = screen(heap, errors[u])
