"""Sample-ratio mismatch: whether users of both arms are seen as often as the hash says, by one sequential e-value.

Each user counts once, in the week first seen; a week's share is then the exact probability of having been treated. The
e-value is the worth of 1 that was put on bets which are fair without a mismatch, so that it ever reaches 1,000 with a
probability of at most .001 (Ville 1939). Its bets, settled one after another:

- the first week, and the first month as a whole: all or nothing on an exact test. A likelihood ratio would waste what
  it wins beyond 1,000, and cannot see a loss of 2 % of the treated of 250,000 users in four of five cases;
- likelihood ratios of odds that changed by a factor in any week, averaged over factors and weeks (Robbins 1970, and
  Lindon and Malek 2022 for the sample ratio): they wait for as long as it takes.

Two thirds of each bet are on lost treated users, which is what a new recipe may bring about, a third on lost others.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import fftconvolve
from scipy.special import logsumexp
from scipy.stats import binom

from models.experiment.moments import WHOLE_BP, Floats

ALARM = 1_000.0
"""The e-value from which on it is a mismatch: at most one of so many healthy experiments ever reaches it."""
_FIRST_WEEK, _FIRST_MONTH, _RATIOS = 0.45, 0.45, 0.1
"""What of the 1 is put on each kind of bet."""
_LOST_TREATED = 2 / 3
_MONTH = 4
_LOSSES = np.array([0.003, 0.01, 0.03, 0.1, 0.3])
"""Shares of an arm's users that may be lost."""
_WINDOW = 10.0
"""Standard deviations of a count that are looked at; the probability of more is 1e-23."""


@dataclass(frozen=True)
class FirstSeen:
    """Users who were seen in this week for the first time in the experiment."""

    share_bp: int
    treated: int
    control: int

    @property
    def users(self) -> int:
        """Those of both arms."""
        return self.treated + self.control

    @property
    def tells(self) -> bool:
        """Whether both arms could be seen, and somebody was."""
        return 0 < self.share_bp < WHOLE_BP and self.users > 0


@dataclass(frozen=True)
class Mismatch:
    """What the arms' sizes say."""

    e_values: tuple[float, ...]
    """After each week."""
    treated: int
    expected: float
    """Treated users by the weeks' shares."""
    what: str = "were seen"
    """What is said of the users who are counted."""

    @property
    def found(self) -> bool:
        """Whether there is a mismatch; once there was one, there is."""
        return any(value >= ALARM for value in self.e_values)

    def __str__(self) -> str:
        """E.g. "sample-ratio mismatch: 61,250 users … were seen, 62,187 are expected (e-value 3e+03)"."""
        word = "sample-ratio mismatch" if self.found else "no sample-ratio mismatch"
        most = max(self.e_values, default=1.0)
        seen = f"{self.treated:,} users of the treatment {self.what}, {self.expected:,.0f} are expected"
        return f"{word}: {seen} (e-value {most:,.3g})"


def mismatch_of(weeks: Sequence[FirstSeen], what: str = "were seen") -> Mismatch:
    """Returns the e-value after each week, oldest first.

    The same holds for the audience: each of its users once, in the week in which they joined it.
    """
    expected = sum(week.users * week.share_bp / WHOLE_BP for week in weeks)
    told = [week for week in weeks if week.tells]
    first = _all_or_nothing(told[:1], _FIRST_WEEK)
    month = _all_or_nothing(told[:_MONTH], _FIRST_MONTH) if len(told) >= _MONTH else 1.0
    values, until = [], 0
    for week in weeks:
        until += week.tells
        bets = (first if until else 1.0), (month if until >= _MONTH else 1.0), _ratios(told[:until])
        worth = math.inf if _impossible(week) else _FIRST_WEEK * bets[0] + _FIRST_MONTH * bets[1] + _RATIOS * bets[2]
        values.append(max(worth, math.inf if math.inf in values else 0.0))
    return Mismatch(tuple(values), sum(week.treated for week in weeks), expected, what)


def _impossible(week: FirstSeen) -> bool:
    """Returns whether somebody was treated at a share of 0 or not treated at 100 %."""
    return (week.share_bp == 0 and week.treated > 0) or (week.share_bp == WHOLE_BP and week.control > 0)


def _all_or_nothing(weeks: Sequence[FirstSeen], part: float) -> float:
    """Returns 1 ÷ level if the treated users of these weeks are beyond an exact test's limits, else 0."""
    if not weeks:
        return 1.0
    level = part / ALARM
    below, above = _tails(weeks)
    refused = below <= level * _LOST_TREATED or above <= level * (1 - _LOST_TREATED)
    return 1 / level if refused else 0.0


def _tails(weeks: Sequence[FirstSeen]) -> tuple[float, float]:
    """Returns the exact probabilities of so few and of so many treated users in these weeks together."""
    treated = sum(week.treated for week in weeks)
    shares = sorted({week.share_bp for week in weeks})
    sizes = [sum(week.users for week in weeks if week.share_bp == share) for share in shares]
    if len(shares) == 1:
        law = binom(sizes[0], shares[0] / WHOLE_BP)
        return float(law.cdf(treated)), float(law.sf(treated - 1))
    start, density = 0, np.ones(1)
    for share, size in zip(shares, sizes, strict=True):
        low, part = _density(size, share / WHOLE_BP)
        start, density = start + low, np.maximum(fftconvolve(density, part), 0.0)
    at = treated - start
    return float(density[: max(at + 1, 0)].sum()), float(density[max(at, 0) :].sum())


def _density(size: int, share: float) -> tuple[int, Floats]:
    """Returns the first count that is looked at and the probabilities from it on."""
    half = math.ceil(_WINDOW * math.sqrt(size * share * (1 - share))) + 20
    low, high = max(0, round(size * share) - half), min(size, round(size * share) + half)
    return low, np.asarray(binom.pmf(np.arange(low, high + 1), size, share))


def _ratios(weeks: Sequence[FirstSeen]) -> float:
    """Returns the mean likelihood ratio of odds that changed by a factor, from any week on."""
    if not weeks:
        return 1.0
    factors = np.concatenate([np.log1p(-_LOSSES), -np.log1p(-_LOSSES)])
    prior = np.repeat([_LOST_TREATED, 1 - _LOST_TREATED], len(_LOSSES)) / len(_LOSSES)
    steps = np.array([_log_ratio(week, factors) for week in weeks])
    from_week_on = np.cumsum(steps[::-1], axis=0)[::-1]
    start = np.arange(1, len(weeks) + 1)
    started = np.log(1 / (start * (start + 1)))[:, None] + np.log(prior) + from_week_on
    waiting = math.log(1 / (len(weeks) + 1))
    return math.exp(min(700.0, float(np.logaddexp(logsumexp(started), waiting))))


def _log_ratio(week: FirstSeen, factors: Floats) -> Floats:
    """Returns log likelihoods of a week's split at odds × exp(factor), less that at the share."""
    return np.asarray(week.treated * factors - week.users * np.log1p(week.share_bp / WHOLE_BP * np.expm1(factors)))
