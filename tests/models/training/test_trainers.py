"""What holds for every trainer that is listed."""

from collections.abc import Iterator
from typing import get_args

import numpy as np
import pytest

from conf.training import settings_class, train_settings
from models.arrays.ids import IdMap
from models.training.memory import DataSize, estimate
from models.training.trainer import Factors, Trained, TrainingData
from models.training.trainers import TRAINERS, check_memory, trainer_of
from tests.models.worlds import ids_of, planted

every_trainer = pytest.mark.parametrize("algorithm", TRAINERS)
Told = list[tuple[int, float, Factors, Factors]]


def fit(algorithm: str, told: Told | None = None, seed: int = 7) -> Trained:
    settings = train_settings({"algorithm": algorithm, "threads": 1, "seed": seed})
    weights, _ = planted(users=60, sources=30, seed=1)
    users, sources = (IdMap.of(ids_of(range(size), "int64"), "int64") for size in weights.shape)

    def note(iteration: int, seconds: float, user_factors: Factors, source_factors: Factors) -> None:
        if told is not None:
            told.append((iteration, seconds, user_factors.copy(), source_factors.copy()))

    return trainer_of(settings).fit(TrainingData(users, sources, weights), settings, None, note)


def arrays(found: Trained) -> Iterator[Factors]:
    yield from (found.user_factors, found.source_factors)


def test_every_algorithm_of_the_settings_has_a_trainer_and_no_other() -> None:
    for algorithm in TRAINERS:
        found = settings_class({"algorithm": algorithm})
        assert found is not None
        assert TRAINERS.keys() >= set(get_args(found.model_fields["algorithm"].annotation))
        assert TRAINERS[algorithm].bounds.keys() <= found.model_fields.keys()
    assert settings_class({"algorithm": "none"}) is settings_class({"algorithm": ["als"]}) is None


@every_trainer
def test_factors_have_the_shapes_that_are_told_and_are_finite(algorithm: str) -> None:
    settings = train_settings({"algorithm": algorithm})
    dimensions = trainer_of(settings).dimensions(settings)
    found = fit(algorithm)
    assert [factors.shape for factors in arrays(found)] == [(60, dimensions), (30, dimensions)]
    assert all(factors.dtype == np.float32 and np.isfinite(factors).all() for factors in arrays(found))


@every_trainer
def test_the_same_seed_gives_the_same_bits(algorithm: str) -> None:
    first, again, other = (list(arrays(fit(algorithm, seed=seed))) for seed in (7, 7, 8))
    assert all(np.array_equal(*pair) for pair in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


@every_trainer
def test_iterations_are_told_in_order_and_the_last_one_is_what_is_returned(algorithm: str) -> None:
    told: Told = []
    found = fit(algorithm, told)
    assert [iteration for iteration, *_ in told] == list(range(1, found.iterations + 1))
    assert all(np.array_equal(*pair) for pair in zip(told[-1][2:], arrays(found), strict=True))


@every_trainer
def test_memory_is_at_least_that_of_the_matrix_and_the_factors(algorithm: str) -> None:
    settings = train_settings({"algorithm": algorithm, "max_memory": "1 TiB"})
    size = DataSize(10**7, 10**6, 10**5)
    assert check_memory(settings, size) >= estimate(size, trainer_of(settings).dimensions(settings))
