"""Bounds for looks against published tables, and against simulated paths."""

import math

import numpy as np
import pytest
from numpy.random import default_rng

from models.experiment.decide import SPENT
from models.experiment.sequential import (
    Spending,
    bounds,
    crossing,
    efficient,
    kim_demets,
    obrien_fleming,
    pocock,
)


def even(looks: int) -> list[float]:
    return [(look + 1) / looks for look in range(looks)]


@pytest.mark.parametrize(
    ("looks", "spending", "table"),
    [
        (2, obrien_fleming, [2.963, 1.969]),
        (3, obrien_fleming, [3.710, 2.511, 1.993]),
        (4, obrien_fleming, [4.333, 2.963, 2.359, 2.014]),
        (5, obrien_fleming, [4.877, 3.357, 2.680, 2.290, 2.031]),
        (5, pocock, [2.438, 2.427, 2.410, 2.397, 2.386]),
    ],
)
def test_two_sided_bounds_are_those_of_lan_and_demets(looks: int, spending: Spending, table: list[float]) -> None:
    """The usual tables for α .05, which have three decimals."""
    assert bounds(even(looks), 0.05, spending).z == pytest.approx(table, abs=5.1e-4)


@pytest.mark.parametrize(
    ("fractions", "alpha", "spending", "table"),
    [
        ([0.2, 0.4, 1.0], 0.03, kim_demets(1), [2.5121443, 2.4228747, 2.0280392]),
        ([0.3, 0.7, 1.0], 0.03, kim_demets(2.2), [2.8594012, 2.2435708, 1.9735737]),
        ([0.35, 0.7, 1.0], 0.13, pocock, [1.5446617, 1.4828682, 1.4620058]),
        ([0.4, 0.7], 0.025, pocock, [2.223875, 2.3050796]),
        ([0.4, 0.75, 1.0], 0.13, obrien_fleming, [2.1280732, 1.4368565, 1.2468994]),
        ([0.4, 0.75, 0.85, 1.0], 0.13, obrien_fleming, [2.1280732, 1.4368565, 1.422873, 1.2970881]),
    ],
)
def test_uneven_looks_have_the_bounds_that_rpact_validates(
    fractions: list[float], alpha: float, spending: Spending, table: list[float]
) -> None:
    """One-sided; from the tests of Wassmer and Pahlke's rpact, to the digits that they hold."""
    found = bounds(fractions, alpha, spending, sides=1)
    assert found.z == pytest.approx(table, abs=1e-6)
    assert found.spent[-1] == pytest.approx(spending(fractions[-1], alpha))


def test_one_look_is_an_ordinary_test() -> None:
    assert bounds([1.0], 0.05).z == pytest.approx([1.959964], abs=1e-6)
    assert bounds([1.0], 0.05, sides=1).z == pytest.approx([1.644854], abs=1e-6)


def test_a_look_without_information_spends_nothing() -> None:
    found = bounds([0.5, 0.5, 0.4, 1.0], 0.05)
    assert found.z[1:3] == (math.inf, math.inf)
    assert (found.z[0], found.z[3]) == pytest.approx(bounds([0.5, 1.0], 0.05).z)


def test_the_last_of_twelve_looks_is_hardly_wider_than_a_single_one() -> None:
    for correlation in (0.0, 0.3, 0.5, 0.8):
        variance = [correlation + (1 - correlation) / week for week in range(1, 13)]
        assert bounds([variance[-1] / some for some in variance], 0.05 * SPENT).last / 1.959964 <= 1.13


def test_paths_cross_as_often_as_was_spent() -> None:
    fractions = [0.1, 0.15, 0.6, 0.62, 1.0]
    correlation = efficient(fractions)
    found = bounds(fractions, 0.2, pocock)
    z = np.linalg.cholesky(correlation) @ default_rng(1).standard_normal((5, 200_000))
    crossed = np.maximum.accumulate(np.abs(z) >= np.array(found.z)[:, None], axis=0).mean(axis=1)
    assert crossed == pytest.approx(2 * np.array(found.spent), abs=0.004)
    upper = crossing(found, [0.0] * 5, correlation)
    assert upper == pytest.approx(found.spent, abs=1e-9)
    drift = 2.5 * np.sqrt(fractions)
    by_hand = ((z + drift[:, None] >= np.array(found.z)[:, None]).any(axis=0)).mean()
    assert crossing(found, list(drift), correlation)[-1] == pytest.approx(by_hand, abs=0.004)


def uneven(looks: int) -> np.ndarray:
    """Returns the correlation of means over the same users in weeks of changing noise: not that of efficient ones."""
    noise = np.where(np.arange(looks) % 2, 3.0, 1.0)
    weeks = (0.6 + 0.4 * np.eye(looks)) * np.outer(noise, noise)
    mean = np.tril(np.ones((looks, looks))) / np.arange(1, looks + 1)[:, None]
    covariance = mean @ weeks @ mean.T
    return np.asarray(covariance / np.sqrt(np.outer(covariance.diagonal(), covariance.diagonal())))


def test_looks_that_know_more_than_the_last_one_cross_as_often_as_was_spent() -> None:
    correlation = uneven(10)
    found = bounds(even(10), 0.2, pocock, correlation=correlation)
    z = np.linalg.cholesky(correlation) @ default_rng(1).standard_normal((10, 200_000))
    crossed = np.maximum.accumulate(np.abs(z) >= np.array(found.z)[:, None], axis=0).mean(axis=1)
    assert crossed == pytest.approx(2 * np.array(found.spent), abs=0.004)
    assert crossing(found, [0.0] * 10, correlation)[-1] == pytest.approx(found.spent[-1], abs=0.002)


def test_bounds_stay_when_looks_are_added_and_are_always_the_same() -> None:
    correlation = uneven(10)
    whole = bounds(even(10), 0.05, correlation=correlation).z
    assert bounds(even(10)[:6], 0.05, correlation=correlation[:6, :6]).z == pytest.approx(whole[:6], abs=1e-9)
    first = bounds(even(10)[:2], 0.05, correlation=correlation[:2, :2]).z
    assert first == pytest.approx(whole[:2], rel=0.01)


def test_both_ways_to_follow_looks_agree_where_both_are_exact() -> None:
    fractions = [0.1, 0.3, 0.6, 0.8, 1.0]
    almost = efficient(fractions)
    almost[0, 2] -= 1e-5
    walked, drawn = (bounds(fractions, 0.05, correlation=some) for some in (efficient(fractions), almost))
    assert walked.z != drawn.z
    assert drawn.z == pytest.approx(walked.z, abs=0.02)
