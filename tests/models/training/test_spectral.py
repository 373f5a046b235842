"""Where the alternations start."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from models.training.spectral import spectral_start
from tests.models.worlds import planted


def normalised(matrix: csr_matrix) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    pattern = (matrix.toarray() > 0).astype(float)
    users, sources = pattern.sum(axis=1)[:, None], pattern.sum(axis=0)[None, :]
    return pattern, np.maximum(users, 1) ** 0.25, np.maximum(sources, 1) ** 0.25


def test_it_comes_near_the_best_approximation_of_its_rank() -> None:
    matrix, _ = planted(users=300, sources=80, seed=1)
    pattern, by_user, by_source = normalised(matrix)
    wanted = pattern / by_user / by_source
    for rank in (1, 4, 16):
        users, sources = spectral_start(matrix, rank, seed=7)
        left = float(np.linalg.norm(users @ sources.T / by_user / by_source - wanted))
        best = float(np.sqrt((np.linalg.svd(wanted, compute_uv=False)[rank:] ** 2).sum()))  # Eckart, Young 1936
        assert best * 0.999 < left < best * 1.03


def test_both_sides_have_the_same_scale() -> None:
    matrix, _ = planted(users=300, sources=80, seed=1)
    _, by_user, by_source = normalised(matrix)
    users, sources = spectral_start(matrix, 4, seed=7)
    scales = [np.linalg.norm(side, axis=0) for side in (users / by_user, sources / by_source.T)]
    assert np.allclose(scales[0], scales[1], rtol=1e-3)


def test_the_same_seed_gives_the_same_bits_and_weights_play_no_part() -> None:
    matrix, _ = planted(users=60, sources=30, seed=2)
    weighted = matrix.copy()
    weighted.data *= 7
    first, again = spectral_start(matrix, 8, seed=1), spectral_start(weighted, 8, seed=1)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (6, 1), (3, 4)])
def test_beyond_the_rank_nothing_is_made_up(shape: tuple[int, int]) -> None:
    users, sources = spectral_start(csr_matrix(np.ones(shape, np.float32)), 8, seed=1)
    assert (users.shape, sources.shape) == ((shape[0], 8), (shape[1], 8))
    assert np.allclose(users @ sources.T, 1, atol=1e-4)


def test_users_and_sources_without_interactions_start_at_zero() -> None:
    matrix = csr_matrix(np.diag([1.0, 1.0, 0.0]).astype(np.float32))
    matrix.eliminate_zeros()
    users, sources = spectral_start(matrix, 2, seed=1)
    assert not users[2].any()
    assert not sources[2].any()
