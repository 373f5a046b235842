"""Sums of doubles that no order of addition changes: a term is cut into three integers, which are added apart.

They are a term's whole part and the 64 bits behind it: a term of at least SMALLEST is kept to within 2^-11, or 0.05 %,
of itself. The sums fit int64 as long as no term is beyond LARGEST, with up to 2^31 of them. A sum that is next to
nothing beside its largest term is 0: binary fractions do not cancel out where decimal ones do (0.1 + 0.2 - 0.3).
"""

from pyspark.sql import Column
from pyspark.sql import functions as sf

SMALLEST = 2.0**-54
LARGEST = 2.0**32
NOTHING = 2.0**-40
"""Share of its largest term up to which a sum is 0."""
_LIMB_BITS = 32
_LIMB = 2.0**_LIMB_BITS


def exact_sum(term: str) -> Column:
    """Σ of a column of doubles within a group, as a double."""
    whole = sf.col(term).cast("bigint")  # towards 0, as are all of them: what is left of the term is exact
    rest = (sf.col(term) - whole) * _LIMB
    middle = rest.cast("bigint")
    low = sf.rint((rest - middle) * _LIMB).cast("bigint")
    middles, low_carried = _carried(sf.sum(middle), sf.sum(low))
    wholes, middle_carried = _carried(sf.sum(whole), middles)
    total = (wholes.cast("double") + middle_carried / _LIMB) + low_carried / _LIMB**2  # -1 + (1 - 2^-32) is exact
    return sf.when(sf.abs(total) <= sf.max(sf.abs(term)) * NOTHING, sf.lit(0.0)).otherwise(total)


def _carried(high: Column, low: Column) -> tuple[Column, Column]:
    """Returns the same number with 0 ≤ low < 2^32."""
    return high + sf.shiftright(low, _LIMB_BITS), low.bitwiseAND(sf.lit(2**_LIMB_BITS - 1))
