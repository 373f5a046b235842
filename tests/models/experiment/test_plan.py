"""What an experiment can detect, and that it does so as often as planned."""

import numpy as np
import pytest
from numpy.random import default_rng

from models.experiment.effects import NoEffect
from models.experiment.moments import Moments, variables_of
from models.experiment.plan import Past, detectable, expected_looks, past_of


def past(correlation: float = 0.5, users: int = 100_000) -> Past:
    return Past(users=users, mean=1.0, deviation=2.0, correlation=correlation)


def plan(some: Past, shares: list[int], *, cuped: bool = False) -> list[float]:
    found = detectable(some, shares, cuped=cuped)
    assert not isinstance(found, NoEffect)
    return [one.lift or 0.0 for one in found]


def test_the_past_is_read_from_sums() -> None:
    rng, users = default_rng(1), 50_000
    habit = rng.normal(0, 1, users)
    rows = np.ones((users, 8))
    for week in range(4):
        rows[:, 2 * week + 1] = 10 + 3 * (0.7 * habit + np.sqrt(1 - 0.49) * rng.normal(0, 1, users))
    found = past_of(Moments.of(variables_of(3, ratio=False), rows), [1, 2, 3])
    assert isinstance(found, Past)
    assert (found.users, found.mean) == (users, pytest.approx(10, abs=0.05))
    assert (found.deviation, found.correlation) == (pytest.approx(3, abs=0.05), pytest.approx(0.49, abs=0.02))


@pytest.mark.parametrize(
    ("rows", "weeks", "word"),
    [
        (np.ones((5, 4)), [1], "too few users: 5"),
        (np.ones((5, 4)), [], "too few users: 0"),
        (np.ones((600, 4)), [0, 1], "constant"),
    ],
)
def test_a_past_that_says_nothing(rows: np.ndarray, weeks: list[int], word: str) -> None:
    assert str(past_of(Moments.of(variables_of(1, ratio=False), rows), weeks)).startswith(word)
    ratio = Moments.of(variables_of(1, ratio=True), np.tile([1, 1, 0, 1, 1, 0], (600, 1)))
    assert str(past_of(ratio, [1], ratio=True)) == "nothing to divide by in a past week"


def test_one_look_is_the_textbook_formula() -> None:
    half = plan(past(), [5_000])[0]
    assert half == pytest.approx((1.959964 + 0.841621) * 2 * np.sqrt(2 / 50_000), rel=1e-4)


def test_more_weeks_larger_shares_and_cuped_detect_less() -> None:
    weeks = plan(past(), [2_500] * 6)
    assert weeks == sorted(weeks, reverse=True)
    assert plan(past(), [5_000] * 6)[-1] < weeks[-1] < plan(past(), [500] * 6)[-1]
    assert plan(past(), [2_500] * 6, cuped=True)[-1] < weeks[-1]
    assert plan(past(0.3), [2_500] * 6)[-1] < weeks[-1] < plan(past(0.8), [2_500] * 6)[-1]
    assert weeks[-1] > plan(past(0.5, 200_000), [2_500] * 6)[-1]


def test_too_small_an_arm_is_said() -> None:
    found = detectable(past(users=4_000), [500] * 2)
    assert str(found) == "too few users: 200 in the treated arm, at least 500 are needed"
    assert isinstance(expected_looks(past(users=4_000), [500]), NoEffect)
