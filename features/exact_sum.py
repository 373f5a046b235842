"""Sums of doubles that do not depend on the order: each term is split into three integers, summed separately.

They are a term's whole part and the 64 bits after the point: a term of at least SMALLEST keeps a relative precision of
2^-11 (0.05 %). The sums fit int64 as long as no term exceeds LARGEST, with up to 2^31 terms. A sum that is negligible
beside its largest term becomes 0, since decimal fractions need not cancel in binary (0.1 + 0.2 - 0.3).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import Column
from pyspark.sql import functions as sf

SMALLEST = 2.0**-54
LARGEST = 2.0**32
NOTHING = 2.0**-40
"""Share of the largest term up to which a sum becomes 0."""
_LIMB_BITS = 32
_LIMB = 2.0**_LIMB_BITS


PARTS = ("whole", "middle", "low")
"""The integers that a term is split into."""


def exact_sum(term: str) -> Column:
    """Returns Σ of a column of doubles within a group, as a double."""
    whole = sf.col(term).cast("bigint")  # truncates towards 0, so that the remainder is exact
    rest = (sf.col(term) - whole) * _LIMB
    middle = rest.cast("bigint")
    low = sf.rint((rest - middle) * _LIMB).cast("bigint")
    return sum_of_parts([sf.sum(whole), sf.sum(middle), sf.sum(low)], sf.max(sf.abs(term)))


def parts_of(terms: NDArray[np.float64]) -> list[NDArray[np.int64]]:
    """Returns the integers of each term, as `exact_sum` splits it."""
    whole = terms.astype(np.int64)
    rest = (terms - whole) * _LIMB
    middle = rest.astype(np.int64)
    return [whole, middle, np.rint((rest - middle) * _LIMB).astype(np.int64)]


def sum_of_parts(sums: Sequence[Column], largest: Column) -> Column:
    """Returns the sum that the sums of the parts are; largest: that of the terms, without sign."""
    wholes, middles, lows = sums
    middles, low_carried = _carried(middles, lows)
    wholes, middle_carried = _carried(wholes, middles)
    total = (wholes.cast("double") + middle_carried / _LIMB) + low_carried / _LIMB**2  # -1 + (1 - 2^-32) is exact
    return sf.when(sf.abs(total) <= largest * NOTHING, sf.lit(0.0)).otherwise(total)


def _carried(high: Column, low: Column) -> tuple[Column, Column]:
    """Returns the same number with 0 ≤ low < 2^32."""
    return high + sf.shiftright(low, _LIMB_BITS), low.bitwiseAND(sf.lit(2**_LIMB_BITS - 1))
