"""Sums of products of integers that are exact, so that no order of users and no division into parts changes a bit.

float64 multiplies limbs of 18 bits without rounding, as long as no more than 2^17 products are added up.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Exact = NDArray[Any]
"""An array of Python integers of any size."""

LARGEST = 2**54 - 1
"""The largest number that may be multiplied: three limbs."""
_BITS = 18
_ROWS = 2**17


def exact_products(left: Integers, right: Integers) -> Exact:
    """Returns leftᵀ · right of matrices (n, p) and (n, q), of which no number is beyond ±LARGEST."""
    total = np.zeros((left.shape[1], right.shape[1]), dtype=object)
    for start in range(0, len(left), _ROWS):
        rows = slice(start, start + _ROWS)
        lefts, rights = _limbs(left[rows]), _limbs(right[rows])
        for i, one in enumerate(lefts):
            for j, other in enumerate(rights):
                total += (one.T @ other).astype(np.int64).astype(object) << (_BITS * (i + j))
    return total


def _limbs(numbers: Integers) -> list[NDArray[np.float64]]:
    """Returns the numbers' limbs, the lowest first; the highest has the sign."""
    limbs = []
    while np.any(np.abs(numbers) >> _BITS):
        limbs.append((numbers & (2**_BITS - 1)).astype(np.float64))
        numbers = numbers >> _BITS
    return [*limbs, numbers.astype(np.float64)]
