"""The sequential e-value: fair bets, exact tails, loud where users are lost."""

import math

import numpy as np
import pytest
from numpy.random import default_rng
from scipy.stats import binom

from models.experiment.mismatch import ALARM, FirstSeen, _tails, mismatch_of


def mean_value(users: tuple[int, ...], shares: tuple[int, ...]) -> float:
    """The expected e-value after all weeks without a mismatch, over every outcome."""
    grids = np.meshgrid(*(np.arange(size + 1) for size in users), indexing="ij")
    total = 0.0
    for at in np.ndindex(*grids[0].shape):
        weeks = [FirstSeen(share, k, size - k) for share, k, size in zip(shares, at, users, strict=True)]
        chance = math.prod(float(binom.pmf(week.treated, week.users, week.share_bp / 10_000)) for week in weeks)
        total += chance * mismatch_of(weeks).e_values[-1] if chance else 0.0  # the impossible is worth inf
    return total


@pytest.mark.parametrize(
    ("users", "shares"),
    [((30,), (2_500,)), ((6, 5), (500, 5_000)), ((2, 2, 2, 3), (100, 500, 500, 9_500)), ((4, 0, 3), (2_500, 100, 0))],
)
def test_bets_are_fair(users: tuple[int, ...], shares: tuple[int, ...]) -> None:
    assert mean_value(users, shares) <= 1 + 1e-9


def test_tails_over_weeks_of_different_share_are_exact() -> None:
    weeks = [FirstSeen(100, 12, 988), FirstSeen(2_500, 240, 760), FirstSeen(2_500, 251, 749)]
    density = np.convolve(binom.pmf(np.arange(1_001), 1_000, 0.01), binom.pmf(np.arange(2_001), 2_000, 0.25))
    below, above = _tails(weeks)
    assert below == pytest.approx(density[:504].sum(), rel=1e-9)
    assert above == pytest.approx(density[503:].sum(), rel=1e-9)
    assert _tails(weeks[1:]) == pytest.approx((binom.cdf(491, 2_000, 0.25), binom.sf(490, 2_000, 0.25)))


def test_lost_users_are_found_and_said() -> None:
    found = mismatch_of([FirstSeen(2_500, 61_000, 187_500)])
    assert found.found
    assert str(found).startswith(
        "sample-ratio mismatch: 61,000 users of the treatment were seen, 62,125 are expected (e-"
    )
    assert mismatch_of([FirstSeen(2_500, 62_500, 184_000)]).found


def test_a_healthy_split_is_healthy() -> None:
    rng = default_rng(2)
    for _ in range(20):
        treated = rng.binomial(250_000, 0.25, 12)
        found = mismatch_of([FirstSeen(2_500, int(some), 250_000 - int(some)) for some in treated])
        assert not found.found
        assert len(found.e_values) == 12
    assert str(found).startswith("no sample-ratio mismatch: ")


def test_once_found_it_stays_found() -> None:
    broken = FirstSeen(2_500, 0, 1_000)
    assert mismatch_of([broken] + [FirstSeen(2_500, 2_500, 7_500)] * 8).found


def test_a_fault_that_begins_late_is_found() -> None:
    healthy = [FirstSeen(2_500, 62_500, 187_500)] * 6
    assert not mismatch_of(healthy).found
    assert mismatch_of([*healthy, FirstSeen(2_500, 60_000, 187_500)]).found


def test_shares_of_nobody_and_everybody() -> None:
    assert mismatch_of([]).e_values == ()
    quiet = mismatch_of([FirstSeen(0, 0, 50), FirstSeen(10_000, 50, 0), FirstSeen(2_500, 0, 0)])
    assert quiet.e_values == (1.0, 1.0, 1.0)
    for impossible in (FirstSeen(0, 1, 50), FirstSeen(10_000, 50, 1)):
        values = mismatch_of([impossible, FirstSeen(2_500, 25, 75)]).e_values
        assert values == (math.inf, math.inf)
    assert ALARM == 1_000
