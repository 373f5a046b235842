"""What a week should be: seasons and trends are followed, limits widen with noise, unknown weeks do not count."""

import numpy as np
import pytest

from expectations.drift.forecast import Floats, Replay, replay

PROBABILITY = 1e-4


def of_levels(levels: Floats, spread: float = 0.0, seed: int = 0, **other: object) -> Replay:
    """Weeks of seven days at these levels; `spread`: standard deviation of a day."""
    rng = np.random.default_rng(seed)
    days = levels[:, None] + np.array([-0.1, -0.12, -0.12, -0.08, 0.05, 0.22, 0.18])
    days = days + spread * rng.standard_normal(days.shape)
    return replay(days, prior=0.1, floor=0.02, **other)  # type: ignore[arg-type]


def test_a_trend_and_a_season_are_expected() -> None:
    week = np.arange(80)
    again = of_levels(0.01 * week + 0.2 * np.sin(2 * np.pi * week / 52), spread=0.02)
    assert np.abs(again.level - again.expected)[20:].max() < 0.1
    assert again.p[8:].min() > PROBABILITY


def test_limits_are_as_wide_as_the_past_was_noisy() -> None:
    rng = np.random.default_rng(2)
    widths = [of_levels(size * rng.standard_normal(60)).width(PROBABILITY)[-1] for size in (0.03, 0.1, 0.3)]
    assert widths[0] < widths[1] < widths[2]
    assert widths[1] == pytest.approx(0.5, rel=0.4)


def test_the_largest_error_of_the_past_is_no_alarm_again() -> None:
    levels = np.zeros(40)
    levels[20], levels[39] = -1.5, -1.4
    again = of_levels(levels, spread=0.02)
    assert again.p[20] < PROBABILITY
    assert again.p[39] == 1.0
    assert again.width(PROBABILITY)[39] >= again.largest[39]


def test_unknown_weeks_are_left_out() -> None:
    rng = np.random.default_rng(3)
    levels = 0.05 * rng.standard_normal(40)
    holes = levels.copy()
    holes[[5, 17, 30]] = np.nan
    whole, thinner = of_levels(levels), of_levels(holes)
    assert thinner.expected[-1] == pytest.approx(whole.expected[-1], abs=0.02)
    assert thinner.past[-1] == 36
    assert thinner.p[30] == 1.0  # nothing can be said of it


def test_a_forecast_of_two_weeks_ahead_does_not_know_the_week_before() -> None:
    levels = 0.1 * np.random.default_rng(4).standard_normal(30)
    other = levels.copy()
    other[28] += 0.2
    assert of_levels(levels).expected[29] != pytest.approx(of_levels(other).expected[29], abs=0.01)
    assert of_levels(levels, ahead=2).expected[29] == of_levels(other, ahead=2).expected[29]


@pytest.mark.parametrize(("side", "alarms"), [("low", [-1.0]), ("high", [1.0]), ("both", [-1.0, 1.0])])
def test_errors_count_to_the_side_that_harms(side: str, alarms: list[float]) -> None:
    for change in (-1.0, 1.0):
        levels = np.zeros(30)
        levels[-1] = change
        assert bool(of_levels(levels, spread=0.02, side=side).p[-1] < PROBABILITY) is (change in alarms)


def test_small_numbers_vary_by_counting() -> None:
    levels = np.zeros(30)
    levels[-1] = -0.6
    assert of_levels(levels, spread=0.02).p[-1] < PROBABILITY
    assert of_levels(levels, spread=0.02, noise=np.full(30, 0.3)).p[-1] > PROBABILITY


def test_nothing_is_said_without_a_past() -> None:
    again = of_levels(np.zeros(1))
    assert again.p[0] == 1.0
    assert np.isnan(again.expected[0])


def test_limits_are_wider_where_the_past_has_heavy_tails() -> None:
    """Beside errors of the same robust scale without them."""
    rng = np.random.default_rng(5)
    light, heavy = 0.1 * rng.standard_normal(60), 0.08 * rng.standard_t(2, 60)
    limits = {
        name: of_levels(levels).width(1e-6)[-1] / of_levels(levels).scale[-1]
        for name, levels in {"light": light, "heavy": heavy}.items()
    }
    assert limits["heavy"] > 1.5 * limits["light"]


def test_errors_far_below_the_least_scale_are_no_heavy_tails() -> None:
    assert of_levels(1e-5 * np.random.default_rng(6).standard_normal(40)).p.min() > PROBABILITY
    levels = np.zeros(40)
    levels[-1] = 0.3
    assert of_levels(levels).p[-1] < PROBABILITY
