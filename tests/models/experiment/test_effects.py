"""Effects from sums against an independent computation from the users themselves, and what bad data say."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.random import default_rng
from numpy.typing import NDArray
from scipy import stats

from models.errors import BadMoments
from models.experiment.effects import Effect, NoEffect, Week, baseline_of, effect_of, is_carried_over, looks_of
from models.experiment.moments import Moments, Slice, slices_at, variables_of

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Users:
    """Rows of users with their place by the hash."""

    place: NDArray[np.int64]
    rows: Floats
    variables: tuple[str, ...]

    def column(self, name: str) -> Floats:
        return self.rows[:, self.variables.index(name)]

    def moments(self, shares: Sequence[int]) -> dict[Slice, Moments]:
        found = {}
        for part in slices_at(shares):
            inside = (self.place >= part.low_bp) & (self.place < part.high_bp)
            found[part] = Moments.of(self.variables, self.rows[inside])
        return found


def users(count: int, weeks: int, *, ratio: bool, seed: int = 1, churn: float = 0.2) -> Users:
    """Users of whom some join and some leave, whose weeks are alike."""
    rng = default_rng(seed)
    variables = variables_of(weeks, ratio=ratio)
    habit = rng.gamma(2.0, 1.0, count)
    rows = np.zeros((count, len(variables)))
    for week in range(weeks + 1):
        there = rng.random(count) >= churn
        answers = rng.poisson(3 * habit)
        values = {"a": there, "y": there * answers, "x": there * (rng.binomial(answers, 0.2) if ratio else answers)}
        for name, value in values.items():
            if f"{name}{week}" in variables:
                rows[:, variables.index(f"{name}{week}")] = value
    return Users(rng.integers(0, 10_000, count), rows, variables)


def influences(some: Users, week: int, share: int, below: str, above: str = "x") -> tuple[float, Floats]:
    """The difference of a week, and by how much each user moved it, written down user by user."""
    treated = some.place < share
    difference, moved = 0.0, np.zeros(len(treated))
    for arm, sign in ((treated, 1), (~treated, -1)):
        x, y = some.column(f"{above}{week}")[arm], some.column(f"{below}{week}")[arm]
        difference += sign * x.sum() / y.sum()
        moved[arm] = sign * (x - x.sum() / y.sum() * y) / y.sum()
    return float(difference), moved


def covariance(some: Users, shares: Sequence[int], one: Floats, other: Floats) -> float:
    """Σ over slices of users × sample covariance."""
    total = 0.0
    for part in slices_at(shares):
        inside = (some.place >= part.low_bp) & (some.place < part.high_bp)
        total += inside.sum() * np.cov(one[inside], other[inside])[0, 1]
    return float(total)


def close(found: float, expected: float) -> bool:
    return found == pytest.approx(expected, rel=1e-9, abs=1e-12)


def known(effect: Effect | NoEffect) -> Effect:
    assert isinstance(effect, Effect), effect
    return effect


def test_a_mean_of_one_week_is_welchs() -> None:
    some = users(3_000, 1, ratio=False, churn=0.0)
    effect = known(effect_of(some.moments([2_500]), [Week(1, 2_500)]))
    x, treated = some.column("x1"), some.place < 2_500
    welch = stats.ttest_ind(x[treated], x[~treated], equal_var=False)
    assert close(effect.difference.value / effect.difference.se, float(welch.statistic))
    assert close(effect.treated.value, x[treated].mean())
    assert effect.lift is not None
    assert close(effect.lift, x[treated].mean() / x[~treated].mean() - 1)


@pytest.mark.parametrize("ratio", [False, True])
@pytest.mark.parametrize("cuped", [False, True])
def test_weeks_of_changing_share_are_those_of_the_users_themselves(*, ratio: bool, cuped: bool) -> None:
    shares = [500, 2_500, 2_500, 9_000]
    some = users(20_000, 4, ratio=ratio)
    below = "y" if ratio else "a"
    values, moved, weights = [], [], []
    for week, share in enumerate(shares, 1):
        value, change = influences(some, week, share, below)
        if cuped:
            before, change_before = influences(some, 0, share, below)
            theta = covariance(some, shares, change, change_before) / covariance(
                some, shares, change_before, change_before
            )
            value, change = value - theta * before, change - theta * change_before
        treated = some.column(f"a{week}")[some.place < share].sum()
        others = some.column(f"a{week}")[some.place >= share].sum()
        values.append(value)
        moved.append(change)
        weights.append(1 / (1 / treated + 1 / others))
    weight = np.array(weights) / sum(weights)
    together = np.tensordot(weight, np.array(moved), 1)
    weeks = [Week(number, share) for number, share in enumerate(shares, 1)]
    effect = known(effect_of(some.moments(shares), weeks, ratio=ratio, cuped=cuped))
    assert close(effect.difference.value, float(weight @ values))
    assert close(effect.difference.variance, covariance(some, shares, together, together))
    first = known(effect_of(some.moments(shares), weeks[:1], ratio=ratio, cuped=cuped))
    information, correlation = looks_of([first, effect])
    assert close(information[0], 1 / covariance(some, shares, moved[0], moved[0]))
    between = covariance(some, shares, moved[0], together)
    assert close(correlation[0, 1], between * math.sqrt(information[0] * information[1]))


def test_cuped_with_everybody_there_is_the_published_one() -> None:
    """Deng, Xu, Kohavi and Walker (2013), with the factor that minimises the variance of unequal arms."""
    some = users(8_000, 1, ratio=False, churn=0.0)
    treated = some.place < 2_500
    x, before = some.column("x1"), some.column("x0")
    parts = [np.cov(x[arm], before[arm]) / arm.sum() for arm in (treated, ~treated)]
    summed = parts[0] + parts[1]
    theta = summed[0, 1] / summed[1, 1]
    adjusted = x - theta * (before - before.mean())
    effect = known(effect_of(some.moments([2_500]), [Week(1, 2_500)], cuped=True))
    assert close(effect.difference.value, adjusted[treated].mean() - adjusted[~treated].mean())
    variance = sum(adjusted[arm].var(ddof=1) / arm.sum() for arm in (treated, ~treated))
    assert close(effect.difference.variance, variance)


def test_fiellers_interval_holds_what_a_test_does_not_refuse() -> None:
    some = users(4_000, 2, ratio=True)
    effect = known(effect_of(some.moments([5_000]), [Week(1, 5_000), Week(2, 5_000)], ratio=True))
    interval = effect.lift_interval(1.96)
    assert interval is not None
    for lift in (interval.low, interval.high):
        against = effect.against(lift)
        assert abs(against.value / against.se) == pytest.approx(1.96, abs=1e-7)
    assert interval.low < (effect.lift or 0) < interval.high
    assert known(effect).lift_interval(500.0) is None


def test_before_the_first_week_there_is_nothing_to_see() -> None:
    some = users(5_000, 2, ratio=False)
    before = known(baseline_of(some.moments([2_500]), Week(2, 2_500)))
    value, moved = influences(some, 0, 2_500, "a")
    assert close(before.difference.value, value)
    assert close(before.difference.variance, covariance(some, [2_500], moved, moved))
    assert not is_carried_over(before)
    some.rows[some.place < 2_500, 1] *= 1.5
    assert is_carried_over(known(baseline_of(some.moments([2_500]), Week(2, 2_500))))


@pytest.mark.parametrize(
    ("change", "share", "word"),
    [
        (lambda rows, place: rows, 0, "share 0 %: nobody was treated"),
        (lambda rows, place: rows, 10_000, "share 100 %: nobody was left to compare with"),
        (lambda rows, place: rows * (place >= 2_500)[:, None], 2_500, "treated arm: nobody of it was in the audience"),
        (lambda rows, place: rows * (place < 2_500)[:, None], 2_500, "control arm: nobody of it was in the audience"),
        (lambda rows, place: np.minimum(rows, [[1, 3, 0, 1, 3, 0]]) * 0 + [[1, 3, 1, 1, 3, 1]], 2_500, "constant"),
        (lambda rows, place: rows, 100, "too few users"),
        (lambda rows, place: rows * [[1, 1, 0, 1, 1, 0]], 2_500, "treated arm: nothing to divide by"),
    ],
)
def test_bad_data_say_what_they_are(change: object, share: int, word: str) -> None:
    some = users(6_000, 1, ratio=True)
    bad = Users(some.place, change(some.rows, some.place), some.variables)  # type: ignore[operator]
    for cuped in (False, True):
        effect = effect_of(bad.moments([share]), [Week(1, share)], ratio=True, cuped=cuped)
        assert isinstance(effect, NoEffect)
        assert str(effect).startswith(word)
    assert str(effect_of(bad.moments([share]), [])) == "no week yet"


def test_a_week_that_cannot_be_used_is_named_and_left_out() -> None:
    some = users(6_000, 2, ratio=False)
    effect = known(effect_of(some.moments([2_500]), [Week(1, 0), Week(2, 2_500)]))
    assert effect.weeks == (Week(2, 2_500),)
    assert effect.left_out == ((Week(1, 0), "share 0 %: nobody was treated"),)


def test_a_covariate_that_says_nothing_changes_nothing() -> None:
    some = users(6_000, 1, ratio=False)
    some.rows[:, :2] = 0
    moments = some.moments([2_500])
    plain, cuped = (known(effect_of(moments, [Week(1, 2_500)], cuped=cuped)) for cuped in (False, True))
    assert plain.difference.value == cuped.difference.value


def test_slices_must_be_the_whole_hash() -> None:
    some = Moments.none(variables_of(1, ratio=False))
    for parts in ([], [Slice(0, 5)], [Slice(0, 5_000), Slice(6_000, 10_000)], [Slice(0, 6_000), Slice(5_000, 10_000)]):
        with pytest.raises(BadMoments, match="whole hash"):
            effect_of(dict.fromkeys(parts, some), [Week(1, 5_000)])
    with pytest.raises(BadMoments, match="cuts it"):
        effect_of({Slice(0, 10_000): some}, [Week(1, 5_000)])
    with pytest.raises(BadMoments, match="and not a2"):
        effect_of({Slice(0, 5_000): some, Slice(5_000, 10_000): some}, [Week(2, 5_000)])
