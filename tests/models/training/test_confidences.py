"""Weights → confidences: what may change them, and what must not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix, vstack

from conf.training import AlsSettings
from models.training import confidences as module
from models.training.confidences import confidences_of, damp, noise_level, to_confidences
from tests.models.worlds import planted

SETTINGS = AlsSettings()


def weights(seed: int, users: int = 40) -> csr_matrix:
    matrix, _ = planted(users=users, sources=25, seed=seed)
    matrix.data[:] = np.random.default_rng(seed).lognormal(size=matrix.nnz).astype(np.float32)
    return matrix


def test_confidences_grow_from_one_with_the_weight_relative_to_its_mean() -> None:
    matrix = csr_matrix(np.array([[1.0, 3.0]], np.float32))
    assert to_confidences(matrix, alpha=10.0).toarray().tolist() == [[6.0, 16.0]]


@given(st.floats(1e-6, 1e6), st.integers(0, 20))
def test_the_unit_of_weights_does_not_matter(unit: float, seed: int) -> None:
    once, scaled = weights(seed), weights(seed)
    scaled.data *= np.float32(unit)
    assert np.allclose(confidences_of(once, SETTINGS).data, confidences_of(scaled, SETTINGS).data, rtol=1e-4)


@given(st.integers(0, 20))
def test_equal_weights_give_equal_confidences_only_without_damping(seed: int) -> None:
    plain, damped = (planted(users=40, sources=25, seed=seed)[0] for _ in range(2))
    density = plain.nnz / 1000
    undamped = SETTINGS.model_copy(update={"user_damping": 0.0, "source_damping": 0.0})
    assert np.allclose(confidences_of(plain, undamped).data, 1 + 0.5 / np.sqrt(density))
    users, sources = np.diff(damped.indptr), np.bincount(damped.indices, minlength=25)
    of_pairs = confidences_of(damped, SETTINGS).tocoo()
    expected = (users[of_pairs.row] * sources[of_pairs.col].astype(float)) ** -0.4
    assert np.allclose((of_pairs.data - 1) / (of_pairs.data - 1).mean(), expected / expected.mean(), rtol=1e-4)


def test_damping_is_the_same_by_blocks_of_users(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, blocks = weights(3), weights(3)
    damp(whole, SETTINGS)
    monkeypatch.setattr(module, "_USERS", 7)
    damp(blocks, SETTINGS)
    assert np.array_equal(whole.data, blocks.data)


def test_the_noise_level_is_the_largest_singular_value_of_shuffled_confidences() -> None:
    draw = np.random.default_rng(1)
    confidences = 11 * (draw.random((600, 400)) < 0.02).astype(np.float32)
    noise = np.linalg.svd(confidences - confidences.mean(), compute_uv=False)[0]
    assert noise_level(csr_matrix(confidences)) == pytest.approx(noise, rel=0.1)


def test_more_users_of_the_same_kind_leave_the_confidences_as_they_are() -> None:
    once, twice = weights(5), vstack([weights(5), weights(5)], format="csr")
    undamped = SETTINGS.model_copy(update={"source_damping": 0.0})
    first, both = confidences_of(once, undamped), confidences_of(twice, undamped)
    assert np.allclose(both[:40].data, first.data, rtol=1e-5)
