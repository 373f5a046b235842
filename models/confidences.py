"""Weights of interactions → confidences of the trainer, in units that hold for data of any size, density and scale."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from conf.settings import TrainSettings


def confidences_of(weights: csr_matrix, settings: TrainSettings) -> csr_matrix:
    """Confidences 1 + α/√density · w/mean(w), with w = weight · n_user^−bu · n_source^−bs.

    n counts the interactions of a user or a source; weights (users, sources) are positive, and one factor on all of
    them changes nothing. Takes the matrix over: its data are overwritten.
    """
    damp(weights, settings)
    users, sources = weights.shape
    return to_confidences(weights, settings.alpha * float(np.sqrt(users * sources / weights.nnz)))


def damp(weights: csr_matrix, settings: TrainSettings) -> None:
    """weight · n_user^−user_damping · n_source^−source_damping, in place."""
    users, sources = activity(weights)
    by_user = _power(users, -settings.user_damping)
    by_source = _power(sources, -settings.source_damping)
    for start in range(0, len(users), _USERS):
        part = slice(weights.indptr[start], weights.indptr[min(start + _USERS, len(users))])
        weights.data[part] *= np.repeat(by_user[start : start + _USERS], users[start : start + _USERS])
        weights.data[part] *= by_source[weights.indices[part]]


_USERS = 2**14
"""Users damped at once."""


def to_confidences(weights: csr_matrix, alpha: float) -> csr_matrix:
    """Confidences 1 + α·w/mean(w) (Hu, Koren, Volinsky 2008); takes the matrix over: its data are overwritten."""
    weights.data *= np.float32(alpha / weights.data.mean(dtype=np.float64))
    weights.data += np.float32(1)
    return weights


def noise_level(confidences: csr_matrix) -> float:
    """The unit of λ: about the largest singular value of the confidences, were they shuffled over all pairs.

    √(Σc²/users) + √(Σc²/sources), the edge of the spectrum of a random matrix (Marchenko, Pastur 1967). A taste whose
    singular value is below λ is regularized away, so λ above the largest one leaves nothing.
    """
    squares = float(np.einsum("i,i->", confidences.data, confidences.data, dtype=np.float64))
    return sum(float(np.sqrt(squares / side)) for side in confidences.shape)


def activity(matrix: csr_matrix) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Stored entries of each row and of each column, int64."""
    return np.diff(matrix.indptr).astype(np.int64), np.bincount(matrix.indices, minlength=matrix.shape[1])


def _power(counts: NDArray[np.int64], exponent: float) -> NDArray[np.float32]:
    powers: NDArray[np.float32] = (np.maximum(counts, 1) ** np.float64(exponent)).astype(np.float32)
    return powers
