"""How often a place is looked at: the planted curve is found, and nothing is said where swaps are too few."""

import numpy as np
import pytest

from benchmarks.propensities import PLANTED, simulated
from models.outcomes.propensities import PLACES, Shown, curve_of, sums_of_swaps, swaps_of


def test_hits_are_counted_at_swaps_as_by_hand() -> None:
    chance = np.random.default_rng(7)
    pair, day, place = (chance.integers(low, high, 600) for low, high in ((0, 40), (100, 104), (0, 14)))
    shown, chosen = Shown(pair, day, place), chance.random(600) < 0.3
    hits = Shown(pair[chosen], day[chosen], place[chosen])
    there = set(zip(pair.tolist(), day.tolist(), place.tolist(), strict=True))
    for lag in (-1, 1):
        wanted = sorted(
            (i, other)
            for i in range(len(hits.pair))
            for other in range(1, PLACES + 1)
            if 1 <= hits.place[i] <= PLACES and other != hits.place[i]
            if (int(hits.pair[i]), int(hits.day[i]) + lag, other) in there
        )
        assert sorted(zip(*(some.tolist() for some in swaps_of(hits, shown, lag)), strict=True)) == wanted


def test_the_planted_curve_is_found_where_hits_by_place_are_not_it() -> None:
    curve = curve_of(simulated(seed=1, answers=60_000, noise=0.5).swaps)
    assert np.array([one.value for one in curve if one]) == pytest.approx(PLANTED, abs=0.05)
    held = [one.low <= planted <= one.high for one, planted in zip(curve, PLANTED, strict=True) if one]
    assert sum(held) >= 8


def test_it_is_not_identifiable_without_swaps_or_with_few() -> None:
    assert curve_of(simulated(seed=1, answers=10_000, noise=0.0).swaps) == [None] * PLACES
    assert None in curve_of(simulated(seed=1, answers=1_000, noise=0.5).swaps)
    assert curve_of(sums_of_swaps([{"0:1:2": 3, "5:2:1": 2}, {}])) == [None] * PLACES
