"""Intervals whose unit is the user: against formulas by user, and what they must not be fooled by."""

import numpy as np
import pytest
from scipy.special import stdtrit

from conf.contract import USER_GROUPS
from models.outcomes.figures import incremental_hits
from models.outcomes.intervals import Pair, incremental, rate_interval

RANDOM = np.random.default_rng(7)


def grouped(*numbers: tuple[int, float]) -> np.ndarray:
    """Sums of groups, the others 0."""
    sums = np.zeros(USER_GROUPS)
    for group, number in numbers:
        sums[group] += number
    return sums


def test_of_one_user_in_each_group_it_is_the_interval_of_a_ratio_over_users() -> None:
    hits, answers = np.array([3.0, 0, 1, 5]), np.array([4.0, 2, 1, 5])
    found = rate_interval(grouped(*enumerate(hits)), grouped(*enumerate(answers)))
    assert found is not None
    rate = hits.sum() / answers.sum()
    half = stdtrit(3, 0.975) * np.sqrt(4 / 3 * np.square(hits - rate * answers).sum()) / answers.sum()
    assert (found.value, found.low, found.high) == pytest.approx((rate, rate - half, rate + half))
    assert found.covers(rate)
    assert not found.covers(rate + 2 * half)


def test_too_few_users_have_no_interval_and_none_no_rate() -> None:
    one = rate_interval(grouped((5, 3)), grouped((5, 4)))
    assert one is not None
    assert (one.value, one.low, one.high) == (0.75, None, None)
    assert not one.covers(0.75)
    assert rate_interval(grouped(), grouped()) is None
    assert incremental([Pair(grouped(), grouped(), grouped((1, 1)), grouped((1, 1)))]) is None


def test_a_share_that_changes_between_days_of_different_level_makes_no_effect() -> None:
    """Simpson: on each day both arms have the same rate, and their days have other weights."""
    few, many = np.full(USER_GROUPS, 10.0), np.full(USER_GROUPS, 90.0)
    found = incremental([Pair(0.1 * few, few, 0.1 * many, many), Pair(0.9 * many, many, 0.9 * few, few)])
    assert found is not None
    assert found.difference.value == pytest.approx(0, abs=1e-12)
    assert (found.treatment, found.shadow) == pytest.approx((0.82, 0.82))
    assert (found.user_days, found.shadow_user_days) == (100 * USER_GROUPS, 100 * USER_GROUPS)


def test_users_who_moved_from_one_arm_to_the_other_are_taken_together() -> None:
    """The same users in both arms, on one day each, with the same tastes: what they share cancels out."""
    taste, users = RANDOM.gamma(2, 50, USER_GROUPS), np.full(USER_GROUPS, 100.0)
    noise = RANDOM.normal(0, 1, (2, USER_GROUPS))
    together = incremental([Pair(taste + noise[0], users, taste + noise[1], users)])
    apart = incremental([Pair(taste + noise[0], users, RANDOM.permutation(taste) + noise[1], users)])
    assert together is not None
    assert apart is not None
    widths = [(one.difference.high or 0) - (one.difference.low or 0) for one in (together, apart)]
    assert widths[0] < widths[1] / 10


def row(day: int, run: str, arm: str, hits: int, users: int) -> dict[str, object]:
    groups = {"group_hits": [hits] * USER_GROUPS, "group_users": [users] * USER_GROUPS}
    return {"day": day, "run": run, "arm": arm, "by": "all", **groups}


def test_only_runs_and_days_with_users_in_both_arms_are_compared() -> None:
    rows = [
        row(1, "a", "treatment", 3, 10),
        row(1, "a", "shadow", 2, 10),
        row(2, "a", "treatment", 9, 10),  # the run of day 2 has no shadow lists
        row(3, "b", "shadow", 9, 10),
        row(3, "b", "control", 9, 10),
        {"day": 4, "run": "a", "arm": "treatment", "by": "all"},  # by older code
    ]
    found = incremental_hits(rows)
    assert found is not None
    assert found.difference.value == pytest.approx(0.1)
    assert found.hits == pytest.approx(0.1 * 10 * USER_GROUPS)
    assert incremental_hits(rows[2:]) is None
