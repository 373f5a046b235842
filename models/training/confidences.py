"""Weights of interactions → confidences, in units that fit data of any size, density and scale."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from conf.training import AlsSettings

Counts = NDArray[np.int64]
"""Number of interactions of each user, or of each source."""


@dataclass(frozen=True)
class Constants:
    """The absolute constants of a training, with which vectors of later users belong to the same model.

    The trainer's own units are relative to its data: weights of another scale, or more of them, would change their
    meaning.
    """

    confidence_per_weight: float
    """α / √density / mean(w): the confidence beyond 1 of a damped weight of 1."""
    regularization: float
    """λ of the normal equations."""
    user_damping: float
    source_damping: float

    def confidences_of(self, weights: csr_matrix, source_counts: Counts) -> csr_matrix:
        """Returns confidences of weights (users, sources), which are overwritten.

        `source_counts` are the sources' interactions in the training. Users of the training get the same numbers as
        there.
        """
        by_user, _ = activity(weights)
        _divide(weights, by_user, source_counts, self.user_damping, self.source_damping)
        return _shifted(weights, self.confidence_per_weight)


def fixed_confidences(weights: csr_matrix, settings: AlsSettings) -> tuple[csr_matrix, Constants]:
    """Returns `confidences_of`, and the constants behind them."""
    damp(weights, settings)
    users, sources = weights.shape
    per_weight = _per_weight(weights, settings.alpha * float(np.sqrt(users * sources / weights.nnz)))
    confidences = _shifted(weights, per_weight)
    absolute = settings.regularization * noise_level(confidences)
    return confidences, Constants(per_weight, absolute, settings.user_damping, settings.source_damping)


def confidences_of(weights: csr_matrix, settings: AlsSettings) -> csr_matrix:
    """Returns confidences 1 + α/√density · w/mean(w), with w = weight · n_user^−bu · n_source^−bs.

    n counts the interactions of a user or a source; weights (users, sources) are positive and are overwritten. A common
    factor of all weights changes nothing.
    """
    return fixed_confidences(weights, settings)[0]


def damp(weights: csr_matrix, settings: AlsSettings) -> None:
    """Multiplies the weights by n_user^−user_damping · n_source^−source_damping, in place."""
    _divide(weights, *activity(weights), settings.user_damping, settings.source_damping)


def _divide(weights: csr_matrix, users: Counts, sources: Counts, user_damping: float, source_damping: float) -> None:
    by_user, by_source = _power(users, -user_damping), _power(sources, -source_damping)
    for start in range(0, len(users), _USERS):
        part = slice(weights.indptr[start], weights.indptr[min(start + _USERS, len(users))])
        weights.data[part] *= np.repeat(by_user[start : start + _USERS], users[start : start + _USERS])
        weights.data[part] *= by_source[weights.indices[part]]


_USERS = 2**14
"""Users damped at once."""


def to_confidences(weights: csr_matrix, alpha: float) -> csr_matrix:
    """Returns confidences 1 + α·w/mean(w) (Hu, Koren, Volinsky 2008); the weights are overwritten."""
    return _shifted(weights, _per_weight(weights, alpha))


def _per_weight(weights: csr_matrix, alpha: float) -> float:
    return alpha / float(weights.data.mean(dtype=np.float64))


def _shifted(weights: csr_matrix, per_weight: float) -> csr_matrix:
    weights.data *= np.float32(per_weight)
    weights.data += np.float32(1)
    return weights


def noise_level(confidences: csr_matrix) -> float:
    """Returns the unit of λ: about the largest singular value of the confidences if they were shuffled over all pairs.

    √(Σc²/users) + √(Σc²/sources), the edge of the spectrum of a random matrix (Marchenko, Pastur 1967). A taste whose
    singular value is below λ is regularized away, so λ above the largest one leaves nothing.
    """
    squares = float(np.einsum("i,i->", confidences.data, confidences.data, dtype=np.float64))
    return sum(float(np.sqrt(squares / side)) for side in confidences.shape)


def activity(matrix: csr_matrix) -> tuple[Counts, Counts]:
    """Returns the number of stored entries of each row and of each column, int64."""
    return np.diff(matrix.indptr).astype(np.int64), np.bincount(matrix.indices, minlength=matrix.shape[1])


def _power(counts: Counts, exponent: float) -> NDArray[np.float32]:
    powers: NDArray[np.float32] = (np.maximum(counts, 1) ** np.float64(exponent)).astype(np.float32)
    return powers
