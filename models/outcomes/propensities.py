"""How much of a hit is due to the place: the chance that a place is looked at, relative to the first place.

Hits fall from place to place for two reasons: fewer people look there, and what stands there is worse. They are told
apart where runs put the same (user, source) at different places: whatever the source is worth to the user, it is worth
the same at both. A hit at place k has the chance p_k · worth (the position-based model). Such swaps come by themselves
with each new run: intervention harvesting, with all pairs of places used at once, of Agarwal, Zaitsev, Wang, Li, Najork
and Joachims, "Estimating Position Bias without Intrusive Interventions", WSDM 2019 (arXiv 1812.05161); that users may
look further for some queries than for others (Fang, Agarwal and Joachims, SIGIR 2019) is not modelled.

Compared are two days a week apart: M[k, j] counts the hits at place k of one of them whose (user, source) was at place
j on the other. M[k, j] : M[j, k] estimates p_k : p_j, however rare hits are, and the ratios of all pairs are fitted
together as Bradley and Terry's model. Intervals come from leaving out one group of users after the other, so
users, not answers, are what is drawn at random.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conf.contract import USER_GROUPS

PLACES = 10
"""Places of which the curve is made."""
MAX_ERROR = 0.25
"""Standard error of the logarithm of a ratio above which it is not identifiable: its interval would be wider than a
factor of 1.6 to each side. Among simulated places that pass, 94 to 96 % of intervals hold the planted ratio, from 1,000
answers on."""
MIN_HITS = 100.0
"""Hits of a place at swaps below which its standard error is not to be trusted, either."""
_STEPS, _FURTHEST = 50, 12.0
_DAYS, _ROOM = 4096, 16
"""Room for the day and the place in the number of a cell."""
Ints = NDArray[np.int64]
Sums = NDArray[np.float64]


@dataclass(frozen=True)
class Shown:
    """What was shown or hit: the same place in each array is one of it."""

    pair: Ints
    """The (user, source) as a number."""
    day: Ints
    place: Ints


@dataclass(frozen=True)
class Ratio:
    """p_k ÷ p_1 with its 95 % interval."""

    value: float
    low: float
    high: float


def swaps_of(hits: Shown, shown: Shown, lag: int) -> tuple[Ints, Ints]:
    """Returns of which hit, and at which other place its pair was `lag` days after the day of the hit's place.

    Of hits and of what was shown, places beyond PLACES and unknown ones (0) are left out. Pairs are below 2^40.
    """
    near = (shown.place >= 1) & (shown.place <= PLACES)
    cells = np.unique((shown.pair[near] * _DAYS + shown.day[near] % _DAYS) * _ROOM + shown.place[near])
    wanted = (hits.pair * _DAYS + (hits.day + lag) % _DAYS) * _ROOM
    start, end = (np.searchsorted(cells, wanted + edge) for edge in (0, _ROOM))
    size = end - start
    which = np.repeat(np.arange(len(wanted)), size)
    other = cells[np.arange(len(which)) - np.repeat(np.cumsum(size) - size - start, size)] % _ROOM
    place = hits.place[which]
    counts = (place >= 1) & (place <= PLACES) & (place != other)
    return which[counts], other[counts]


def sums_of_swaps(counts: Iterable[Mapping[str, int]]) -> Sums:
    """Returns M of each group of users, from counts by "group:place:other place"."""
    sums = np.zeros((USER_GROUPS, PLACES, PLACES))
    for key, hits in (one for some in counts for one in some.items()):
        group, place, other = map(int, key.split(":"))
        sums[group, place - 1, other - 1] += hits
    return sums


def curve_of(sums: Sums) -> list[Ratio | None]:
    """Returns p_k ÷ p_1 for each place; None: not identifiable, since too few hits tell it from that of place 1."""
    from scipy.stats import t  # here: it is slow to import, and this is seldom asked for

    whole = sums.sum(axis=0)
    places = _connected(whole)
    found: list[Ratio | None] = [None] * PLACES
    if len(places) < 2:
        return found
    log = _fitted(whole, places)
    left_out = np.array([_fitted(whole - group, places) for group in sums])
    error = np.sqrt((len(sums) - 1) / len(sums) * ((left_out - left_out.mean(axis=0)) ** 2).sum(axis=0))
    width = float(t.ppf(0.975, len(sums) - 1)) * error
    found[0] = Ratio(1.0, 1.0, 1.0)
    for i, place in enumerate(places):
        if place and error[i] <= MAX_ERROR:
            low, value, high = np.exp(log[i] + width[i] * np.array([-1, 0, 1]))
            found[place] = Ratio(float(value), float(low), float(high))
    return found


def naive_curve(hits: Sequence[int], answers: Sequence[int]) -> list[float]:
    """Returns hits ÷ answers by place relative to the first one: place and worth together."""
    rates = [hit / count for hit, count in zip(hits, answers, strict=True)]
    return [rate / rates[0] for rate in rates]


def _connected(whole: Sums) -> list[int]:
    """Returns the places that swaps lead to from place 1, first, over places with enough hits."""
    swapped = np.triu(whole + whole.T)
    swapped += swapped.T
    places = [0]
    for place in places:
        near = np.flatnonzero(swapped[place] > 0)
        places += [int(one) for one in near if swapped[one].sum() >= MIN_HITS and one not in places]
    return places


def _fitted(whole: Sums, places: Sequence[int]) -> Sums:
    """Returns the logarithms of the ratios that are most likely, by Newton's steps; the first one is 0."""
    wins = whole[np.ix_(places, places)]
    both, log = wins + wins.T, np.zeros(len(places))
    for _ in range(_STEPS):
        share = 1 / (1 + np.exp(log[None, :] - log[:, None]))
        slope = (wins - both * share).sum(axis=1)[1:]
        bend = both * share * (1 - share)
        step = np.linalg.lstsq((np.diag(bend.sum(axis=1)) - bend)[1:, 1:], slope, rcond=None)[0]
        log[1:] = np.clip(log[1:] + np.clip(step, -1, 1), -_FURTHEST, _FURTHEST)
        if np.abs(step).max() < 1e-9:
            break
    return log
