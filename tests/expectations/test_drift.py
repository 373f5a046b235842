"""The relative limits against the week before: quiet on the same distribution, loud on another one."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.gates import GateSettings
from expectations.errors import GateFailed
from expectations.gate import check_interactions
from expectations.interactions import BINS, divergence
from expectations.report import GateReport
from tests.expectations.profiles import AS_OF, interaction_profile

COUNTS = st.lists(st.integers(0, 10**9), min_size=BINS, max_size=BINS).filter(any)


def week(seed: int, rows: int = 2000, scale: float = 1.0, sigma: float = 1.2) -> npt.NDArray[np.float64]:
    """Log-normal weights, as decayed sums of events are: a heavy tail and no zero."""
    return scale * np.random.default_rng(seed).lognormal(0.0, sigma, rows)


def compare(now: npt.NDArray[np.float64], before: npt.NDArray[np.float64]) -> GateReport:
    profile, baseline = interaction_profile(now), interaction_profile(before)
    return check_interactions(lambda: profile, GateSettings(), baseline, {}, ids="int64", as_of=AS_OF)


@pytest.mark.parametrize("seed", range(12))
def test_a_week_of_the_same_distribution_passes(seed: int) -> None:
    assert compare(week(seed), week(1000 + seed, rows=1700)).passed


@pytest.mark.parametrize("seed", range(3))
def test_weights_in_another_unit_fail(seed: int) -> None:
    with pytest.raises(GateFailed) as caught:
        compare(week(seed, scale=3.0), week(1000 + seed))
    failed = {row.name for row in caught.value.report.failed}
    assert failed == {"max_change_of_mean", "max_change_of_quantiles", "max_divergence"}


def test_another_shape_with_the_same_mean_fails() -> None:
    flat = np.full(2000, float(week(1).mean()))
    with pytest.raises(GateFailed) as caught:
        compare(flat, week(1))
    assert "max_divergence" in {row.name for row in caught.value.report.failed}
    assert "max_change_of_mean" not in {row.name for row in caught.value.report.failed}


@given(COUNTS, COUNTS)
def test_divergence_is_finite_and_never_negative(now: list[int], before: list[int]) -> None:
    value = divergence(now, before)
    assert value is not None
    assert -1e-12 <= value < float("inf")


@given(COUNTS)
def test_divergence_from_itself_is_zero(counts: list[int]) -> None:
    assert divergence(counts, counts) == 0


def test_divergence_of_many_rows_is_the_textbook_value() -> None:
    now, before = [0] * BINS, [0] * BINS
    now[3], now[4] = 3 * 10**9, 10**9  # p = 3/4, 1/4
    before[3], before[4] = 10**9, 3 * 10**9  # q = 1/4, 3/4
    assert divergence(now, before) == pytest.approx(0.5 * np.log(3), abs=1e-6)


def test_a_new_bin_costs_what_it_weighs() -> None:
    before = [0] * BINS
    before[5] = 10_000
    rare, common = list(before), list(before)
    rare[9], common[9] = 1, 5_000
    assert divergence(rare, before) == pytest.approx(0, abs=0.01)
    assert (divergence(common, before) or 0) > 1
