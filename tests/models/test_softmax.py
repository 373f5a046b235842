"""The contract of trainers, run against the softmax refinement; and what it does."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from conf.settings import TrainSettings
from models.als import Factors, ImplicitAls
from models.confidences import confidences_of
from models.softmax import SoftmaxRefined
from models.train import trainer_of
from tests.models.test_als import SETTINGS, TrainerContract
from tests.models.worlds import planted


class TestSoftmaxRefined(TrainerContract):
    trainer = SoftmaxRefined()


class Given:
    """A trainer that gives these factors."""

    def __init__(self, users: Factors, sources: Factors) -> None:
        self.users, self.sources = users, sources

    def fit(self, _confidences: csr_matrix, _settings: TrainSettings) -> tuple[Factors, Factors]:
        return self.users.copy(), self.sources.copy()


def loss(users: Factors, sources: Factors, matrix: csr_matrix, sharpness: float) -> float:
    """Mean −log of an interaction's share of the softmax over all sources."""
    logits = sharpness * (users @ sources.T).astype(float)
    logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return float(-logits[matrix.nonzero()].mean())


def test_passes_lower_the_softmax_loss_of_what_was_trained_on() -> None:
    matrix, _ = planted(users=300, sources=80, seed=3)
    factors = ImplicitAls().fit(confidences_of(matrix.copy(), SETTINGS), SETTINGS)
    refined = SoftmaxRefined(Given(*factors)).fit(matrix, SETTINGS)
    assert (
        loss(*refined, matrix, SETTINGS.softmax_sharpness) < loss(*factors, matrix, SETTINGS.softmax_sharpness) - 0.05
    )


def test_the_scale_that_the_first_trainer_gives_each_side_does_not_matter() -> None:
    matrix, _ = planted(users=60, sources=30, seed=1)
    draw = np.random.default_rng(1)
    users, sources = draw.standard_normal((60, 8), np.float32), draw.standard_normal((30, 8), np.float32)
    once = SoftmaxRefined(Given(users, sources)).fit(matrix, SETTINGS)
    other = SoftmaxRefined(Given(users * 64, sources / 64)).fit(matrix, SETTINGS)
    assert np.allclose(once[0] @ once[1].T, other[0] @ other[1].T, atol=1e-3)


def test_vectors_of_zeros_stay_finite() -> None:
    matrix = csr_matrix(np.eye(3, 4, dtype=np.float32))
    users, sources = SoftmaxRefined(Given(np.zeros((3, 8), np.float32), np.zeros((4, 8), np.float32))).fit(
        matrix, SETTINGS
    )
    assert not users.any()
    assert not sources.any()


@pytest.mark.parametrize(("algorithm", "kind"), [("als", ImplicitAls), ("als_softmax", SoftmaxRefined)])
def test_the_settings_choose_the_trainer(algorithm: str, kind: type) -> None:
    assert isinstance(trainer_of(SETTINGS.model_copy(update={"algorithm": algorithm})), kind)
