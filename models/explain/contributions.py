"""What each interaction of a user adds to the score of a source (Hu, Koren, Volinsky 2008, section 5).

The half step of a user is linear in their interactions: x = A⁻¹ Yᵀ C·1 with A = YᵀY + Yᵀ(C − I)Y + λI. So the score of
source i is Σ_j y_iᵀ A⁻¹ y_j c_j: one term for each source j that the user has to do with. The factors that are stored
are one half step older (the sources moved once more), in float32, and by conjugate gradients: what is left is the
remainder.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_matrix

from models.training.confidences import Constants

Floats = NDArray[np.float64]
Factors = NDArray[np.float32]
_ROWS = 2**16


@dataclass(frozen=True, eq=False)
class TrainedSources:
    """The sources of a training: factors float32 (sources, d), perhaps mapped from a file, and its constants."""

    factors: Factors
    constants: Constants

    @cached_property
    def gram(self) -> Floats:
        """YᵀY, float64 (d, d)."""
        d = self.factors.shape[1]
        total = np.zeros((d, d))
        for start in range(0, len(self.factors), _ROWS):
            block = self.factors[start : start + _ROWS].astype(np.float64)
            total += block.T @ block
        return total

    def confidences(self, weights: Floats, counts: NDArray[np.int64]) -> Floats:
        """Returns the confidences of one user's interactions as the trainer has them.

        counts: interactions of each of these sources in the training.
        """
        row = csr_matrix(weights.astype(np.float32)[None, :])  # in float32, as in the training
        return np.asarray(self.constants.confidences_of(row, counts).toarray()[0], np.float64)

    def contributions(self, rows: NDArray[np.int64], confidences: Floats, listed: NDArray[np.int64]) -> Floats:
        """Returns what each of a user's sources adds to the score of each listed one, float64 (listed, rows)."""
        mine = self.factors[rows].astype(np.float64)
        solved = self.solve(mine, confidences, mine.T * confidences)
        found: Floats = self.factors[listed].astype(np.float64) @ solved
        return found

    def solve(self, mine: Floats, confidences: Floats, right: Floats) -> Floats:
        """Returns A⁻¹ times `right` (d, n), where the user has these confidences in sources of the factors `mine`."""
        system = self.gram + mine.T @ ((confidences - 1)[:, None] * mine)
        system[np.diag_indices_from(system)] += self.constants.regularization
        found: Floats = cho_solve(cho_factor(system, lower=True), right)
        return found
