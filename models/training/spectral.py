"""The start of the alternations: the strongest tastes, by a truncated singular value decomposition.

D_u^−¼ P D_s^−¼, with P the pattern of the interactions and D the diagonals of their counts, is decomposed by subspace
iteration (Halko, Martinsson, Tropp 2011). From here a few alternations achieve what a dozen do from random factors.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from models.training.confidences import activity

_POWER_ITERATIONS = 3
"""Times that the subspace is multiplied by the matrix and back."""
_ROWS = 2**14
_NEGLIGIBLE = 1e-6
"""Eigenvalues of a float32 Gram matrix below this share of the largest are rounding errors."""

Factors = NDArray[np.float32]


def spectral_start(matrix: csr_matrix, factors: int, seed: int) -> tuple[Factors, Factors]:
    """Returns factors float32 (users, d) and (sources, d) whose products approximate the pattern of the matrix.

    Where the rank is below d, columns are 0. Besides the factors it takes 4 bytes per stored entry.
    """
    pattern = csr_matrix((np.ones(matrix.nnz, np.float32), matrix.indices, matrix.indptr), matrix.shape, copy=False)
    by_user, by_source = (
        np.maximum(counts, 1)[:, None].astype(np.float32) ** np.float32(0.25) for counts in activity(matrix)
    )
    sources = np.random.default_rng(seed).standard_normal((matrix.shape[1], factors), dtype=np.float32)
    users = np.empty((0, factors), np.float32)
    for _ in range(_POWER_ITERATIONS):
        del users  # one copy of each side at a time
        _orthonormalise(sources)
        users = _through(pattern, sources, by_source, by_user)
        _orthonormalise(users)
        del sources
        sources = _through(pattern.T, users, by_user, by_source)
    # Now users are orthonormal and sources are their singular vectors, turned and times the singular values.
    rotation, scales = _eigen(sources)
    _apply(users, rotation * scales**0.25)
    _apply(sources, rotation * _inverse(scales) ** 0.25)
    users *= by_user
    sources *= by_source
    return users, sources


def _through(matrix: csr_matrix, vectors: Factors, before: Factors, after: Factors) -> Factors:
    """Returns matrix · vectors with the diagonals' inverses on both sides; `vectors` keep their values."""
    vectors /= before
    product: Factors = matrix @ vectors
    vectors *= before
    product /= after
    return product


def _orthonormalise(vectors: Factors) -> None:
    """Makes the columns orthonormal, in place; those beyond the rank become 0."""
    rotation, scales = _eigen(vectors)
    _apply(vectors, rotation * np.sqrt(_inverse(scales)))


def _eigen(vectors: Factors) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns the eigenvectors (d, d) of vectorsᵀ · vectors and its eigenvalues (d,), negligible ones as 0."""
    blocks = (vectors[start : start + _ROWS] for start in range(0, len(vectors), _ROWS))
    gram = sum((block.T @ block).astype(np.float64) for block in blocks)
    values, rotation = np.linalg.eigh(gram)
    return rotation, np.where(values > _NEGLIGIBLE * max(values[-1], 0), values, 0)


def _inverse(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns 1 / values, and 0 where they are 0."""
    return np.divide(1, values, out=np.zeros_like(values), where=values > 0)


def _apply(vectors: Factors, rotation: NDArray[np.float64]) -> None:
    """Replaces vectors by vectors · rotation, in place."""
    narrow = rotation.astype(np.float32)
    for start in range(0, len(vectors), _ROWS):
        vectors[start : start + _ROWS] = vectors[start : start + _ROWS] @ narrow
