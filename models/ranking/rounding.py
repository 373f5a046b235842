"""Proves bounds on the rounding errors of scores.

Let u = 2⁻²⁴. Whatever the order of its additions, fused multiply-add or not, a float32 inner product of d terms is
within γ_d · Σ|x_i·y_i| of the true one, γ_d = d·u / (1 − d·u) (Higham, Accuracy and Stability of Numerical Algorithms,
2nd ed., 3.1), and Σ|x_i·y_i| ≤ |x|·|y| by Cauchy–Schwarz. The score itself is summed in float64 and rounded to float32
once, so it is within 2u · |x|·|y| of the true one. Products that underflow add at most d times the smallest normal
float32. Together: |approximate − score| ≤ (γ_d + 2u) · |x|·|y| + d · 2⁻¹²⁶.
"""

import numpy as np
from numpy.typing import NDArray

from models.errors import BadFactors

_ROUNDING = 2.0**-24
"""u: the largest relative error of one float32 operation."""

SMALLEST = 2.0**-126
"""The smallest normal float32.

Rounding to float32 moves a smaller number by less than this, also where a library has told the CPU to flush such
numbers to 0.
"""

_LARGEST = 1e38


def gamma(terms: int) -> float:
    """Returns γ: the largest error of a float32 inner product of this many terms, relative to |x|·|y|."""
    return terms * _ROUNDING / (1 - terms * _ROUNDING)


def error_of_unit_product(dimensions: int) -> float:
    """Returns γ_d + 2u: the largest error of an approximate score when both vectors have norm 1."""
    return gamma(dimensions) + 2 * _ROUNDING


def underflow(dimensions: int) -> float:
    """Returns what underflow may add to the error of an approximate score."""
    return dimensions * SMALLEST


def check_no_overflow(user_norm: float, source_norm: float) -> None:
    """Raises BadFactors when a score could exceed the largest float32; partial sums are at most |x|·|y| as well."""
    if not user_norm * source_norm <= _LARGEST:
        raise BadFactors(
            f"scores would overflow float32: a user vector is {user_norm:.3g} long, a source vector {source_norm:.3g}; "
            "train again with a larger train.regularization"
        )


def rounds_to_zero(norm_products: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Returns where a score of vectors with this product of norms is certainly 0: below half the smallest float32."""
    zero: NDArray[np.bool_] = norm_products * (1 + 1e-6) < 2.0**-150
    return zero
