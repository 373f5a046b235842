"""The rotation of vectors before they are quantised to 8 bits, and its accuracy.

Inner products stay the same when both sides are rotated. A random rotation spreads each vector over all coordinates,
none of which then stands out, so that a vector loses little in 8 bits whatever basis the training left (factors from an
SVD start have nearly all of their length in a few coordinates).

The matrix R holds float32, so it is orthogonal only up to `defect` ω ≥ the spectral norm of RᵀR − I, for which the
Frobenius norm, which is larger, is taken: |x·y − Rx·Ry| = |x·(RᵀR − I)y| ≤ ω · |x|·|y|, and |Rx| ≤ (1 + ω) · |x|. The
product Rx is computed in float32, of a vector x of norm 1 that was rounded to float32: each of its d coordinates is an
inner product with a column of norm ≤ 1 + ω, within γ_{d+2} · (1 + ω) of the true one (`rounding`; one of the two more
terms is for the rounding of x, the other for all that underflows and for the float64 operations around). Together the
result is within `error` = √d · γ_{d+2} · (1 + ω) of Rx.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.ranking.rounding import gamma


class Rotation(NamedTuple):
    """matrix float32 (d, d), for vectors that are rows; defect and error float64 (), as above."""

    matrix: NDArray[np.float32]
    defect: NDArray[np.float64]
    error: NDArray[np.float64]

    @classmethod
    def of(cls, dimensions: int) -> "Rotation":
        """Returns the rotation for this number of dimensions: random, but always the same."""
        random = np.random.default_rng(0).standard_normal((dimensions, dimensions))
        matrix = np.linalg.qr(random)[0].astype(np.float32)
        wide = matrix.astype(np.float64)
        defect = float(np.linalg.norm(wide @ wide.T - np.eye(dimensions))) * (1 + 1e-9) + 1e-12
        error = np.sqrt(dimensions) * gamma(dimensions + 2) * (1 + defect)
        return cls(matrix, np.array(defect), np.array(error))

    def turn(self, units: NDArray[np.float64]) -> NDArray[np.float32]:
        """Returns rows of norm ≤ 1, rotated."""
        turned: NDArray[np.float32] = units.astype(np.float32) @ self.matrix
        return turned
