"""The contract of trainers, run against the adapter over `implicit`."""

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from conf.training import AlsSettings
from models.errors import TrainError
from models.training.als import Factors, HalfStep, ImplicitAls
from models.training.confidences import confidences_of
from tests.models.worlds import normal_equations, planted

SETTINGS = AlsSettings(factors=8, iterations=6, threads=1, regularization=0.1)


class TrainerContract:
    """What every trainer must do; a subclass names it."""

    trainer: ImplicitAls

    def fit(self, confidences: csr_matrix, **changes: Any) -> tuple[np.ndarray, np.ndarray]:
        return self.trainer.fit(confidences, SETTINGS.model_copy(update=changes))

    def test_factors_have_their_shapes_and_are_finite_float32(self) -> None:
        weights, _ = planted(users=30, sources=20, seed=1)
        users, sources = self.fit(weights)
        assert (users.shape, sources.shape) == ((30, 8), (20, 8))
        assert users.dtype == sources.dtype == np.float32
        assert np.isfinite(users).all()
        assert np.isfinite(sources).all()

    def test_the_same_seed_gives_the_same_factors_and_another_seed_others(self) -> None:
        weights, _ = planted(users=60, sources=30, seed=1)
        first, again, other = self.fit(weights), self.fit(weights), self.fit(weights, seed=8)
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
        assert not np.array_equal(first[0], other[0])

    def test_the_confidences_are_not_changed(self) -> None:
        weights, _ = planted(users=20, sources=10, seed=2)
        before = weights.copy()
        self.fit(weights)
        assert (weights != before).nnz == 0

    @pytest.mark.parametrize("shape", [(1, 5), (5, 1), (1, 1)])
    def test_a_single_user_or_source_is_enough(self, shape: tuple[int, int]) -> None:
        users, sources = self.fit(csr_matrix(np.full(shape, 11, np.float32)))
        assert np.all(users @ sources.T > 0.5)

    def test_users_in_another_order_get_the_same_scores(self) -> None:
        weights, _ = planted(users=200, sources=60, seed=5)
        order = np.random.default_rng(1).permutation(200)
        confidences = confidences_of(weights, SETTINGS)
        scores, permuted = (np.matmul(u, s.T) for u, s in (self.fit(confidences), self.fit(confidences[order])))
        assert np.corrcoef(scores[order].ravel(), permuted.ravel())[0, 1] > 0.98

    def test_planted_tastes_are_found_and_beat_popularity(self) -> None:
        weights, fits = planted(users=300, sources=80, seed=3)
        users, sources = self.fit(confidences_of(weights.copy(), SETTINGS))
        unseen = np.where(weights.toarray() > 0, -np.inf, 0)
        popularity = np.asarray(weights.sum(axis=0)).ravel()

        def share_that_fits(scores: np.ndarray) -> float:
            best = np.argsort(-(scores + unseen), axis=1)[:, :5]
            return float(np.take_along_axis(fits, best, axis=1).mean())

        assert share_that_fits(users @ sources.T) > 0.9
        assert share_that_fits(np.broadcast_to(popularity, unseen.shape)) < 0.5


class TestImplicitAls(TrainerContract):
    trainer = ImplicitAls()


def test_iterations_are_reported_as_they_end() -> None:
    told: list[tuple[int, float, Factors, Factors]] = []
    weights, _ = planted(users=10, sources=10, seed=1)

    def note(number: int, seconds: float, users: Factors, sources: Factors) -> None:
        told.append((number, seconds, users.copy(), sources.copy()))

    users, sources = ImplicitAls(note).fit(weights, SETTINGS)
    assert [number for number, *_ in told] == [1, 2, 3, 4, 5, 6]
    assert all(seconds >= 0 for _, seconds, *_ in told)
    shorter = ImplicitAls().fit(weights, SETTINGS.model_copy(update={"iterations": 3}))
    assert all(np.array_equal(a, b) for a, b in zip(told[2][2:], shorter, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(told[5][2:], (users, sources), strict=True))


def test_a_start_is_gone_on_from() -> None:
    weights, _ = planted(users=30, sources=20, seed=1)
    two, four = (SETTINGS.model_copy(update={"iterations": n, "warm_iterations": n}) for n in (2, 4))
    halfway = ImplicitAls().fit(weights, two)
    gone_on = ImplicitAls(start=halfway).fit(weights, two)
    assert all(np.array_equal(a, b) for a, b in zip(gone_on, ImplicitAls().fit(weights, four), strict=True))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_half_step_solves_the_normal_equations(seed: int) -> None:
    draw = np.random.default_rng(seed)
    confidences, _ = planted(users=12, sources=9, seed=seed)
    confidences.data[:] = 1 + draw.gamma(2, size=confidences.nnz)
    factors = draw.normal(size=(9, 4)).astype(np.float32)
    solved = HalfStep(factors, 0.7, threads=1).solve(confidences)
    assert np.allclose(solved, [normal_equations(row, factors, 0.7) for row in confidences.toarray()], atol=1e-4)


def test_a_half_step_without_a_solution_is_an_error() -> None:
    with pytest.raises(TrainError, match="regularization"):
        HalfStep(np.zeros((3, 2), np.float32), 0.0, threads=1).solve(csr_matrix(np.ones((1, 3), np.float32)))


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_factors_that_are_no_numbers_are_an_error(poison: float) -> None:
    weights, _ = planted(users=10, sources=10, seed=1)
    weights.data[3] = poison
    with pytest.raises(TrainError, match="regularization"):
        ImplicitAls().fit(weights, SETTINGS)
