"""How far a float32 matrix product may be from the score of a pair, proved.

Let u = 2⁻²⁴. Whatever the order of its additions, fused multiply-add or not, a float32 inner product of d terms is
within γ_d · Σ|x_i·y_i| of the true one, γ_d = d·u / (1 − d·u) (Higham, Accuracy and Stability of Numerical Algorithms,
2nd ed., 3.1), and Σ|x_i·y_i| ≤ |x|·|y| by Cauchy–Schwarz. The score itself is summed in float64 and rounded to float32
once, so it is within 2u · |x|·|y| of the true one. Products that underflow add at most d times the smallest normal
float32. Together: |approximate − score| ≤ (γ_d + 2u) · |x|·|y| + d · 2⁻¹²⁶.
"""

import numpy as np
from numpy.typing import NDArray

from models.errors import BadFactors

_U = 2.0**-24
_LARGEST = 1e38


def error_of_unit_product(dimensions: int) -> float:
    """γ_d + 2u: the largest error of an approximate score when both vectors have norm 1."""
    return dimensions * _U / (1 - dimensions * _U) + 2 * _U


def underflow(dimensions: int) -> float:
    """What underflow may add to the error."""
    return dimensions * 2.0**-126


def check_no_overflow(user_norm: float, source_norm: float) -> None:
    """Raises BadFactors when a score could pass the largest float32; partial sums are at most |x|·|y| as well."""
    if not user_norm * source_norm <= _LARGEST:
        raise BadFactors(
            f"scores would overflow float32: a user vector is {user_norm:.3g} long, a source vector {source_norm:.3g}; "
            "train again with a larger train.regularization"
        )


def largest_possible(norms: NDArray[np.float64], source_norm: float) -> NDArray[np.float64]:
    """Per user norm, a number that no score with a source of at most `source_norm` passes, roundings included."""
    return norms * (source_norm * (1 + 1e-6)) + 2.0**-126
