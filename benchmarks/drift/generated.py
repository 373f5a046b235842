"""Healthy products generated number by number: weekly runs of many statistics, and how often each rule stops one.

Counts share the week's noise, a yearly season of ± 20 %, a trend of up to ± 1 % a week that turns every year, and eight
holidays a year, none of them known to the rules; shares and means vary by themselves, with a season of ± 5 %, and some,
if asked for, with heavy tails. Every day also varies by itself, by half of what weeks do. All rules see the same
numbers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from scipy import stats

from expectations.drift.forecast import replay
from expectations.drift.judge import probability_of

Floats = NDArray[np.float64]
Marks = NDArray[np.bool_]

RUNS_PER_YEAR = 52
STATISTICS = 80
"""Statistics that can stop a run: a product with three datasets and four snapshots has about as many."""
_COUNTS = 15
"""Of them numbers of events, users and sources."""
_YEARS = 10
"""Judged years of one product, after one year of history."""
_SEASON, _SEASON_OF_SHARES = 0.20, 0.05
_TREND = 0.01
_HOLIDAYS, _HOLIDAY = 8, (0.1, 0.4)
_NOISE = (0.05, 0.13)
_SHARE_NOISE = (0.02, 0.15)
_HEAVY_TAIL = 4
"""Degrees of freedom of Student's t, by which weeks vary that have heavy tails."""
_SHARED = 0.8
"""Part of a count's weekly variance that all counts share."""
_POWER_CHANGES = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)


@dataclass(frozen=True)
class Rate:
    """Healthy runs that one rule stopped."""

    rule: str
    years: int
    stopped: int

    @property
    def per_year(self) -> float:
        """Stopped runs per year."""
        return self.stopped / self.years

    @property
    def upper(self) -> float:
        """The upper limit of a one-sided 95 % interval of `per_year` (Garwood, Biometrika 28, 1936)."""
        return float(stats.chi2.isf(0.05, 2 * (self.stopped + 1)) / 2 / self.years)


Rule = Callable[[Floats], Marks]
"""(S, W, 7) numbers on the scale on which changes add up → (W,) the weeks that are stopped."""


def ours(budget: float) -> Rule:
    """Returns the drift gate's rule with a budget of so many false alarms a year."""

    def stops(numbers: Floats) -> Marks:
        probability = probability_of(budget, RUNS_PER_YEAR, len(numbers))
        return _any([_again(one, probability) < probability for one in numbers])

    return stops


def _again(days: Floats, probability: float) -> Floats:
    return replay(days, prior=0.12, floor=0.024, probability=probability).p


def three_sigma(numbers: Floats) -> Marks:
    """Stops outside of mean ± 3 standard deviations of a year of reference (the default threshold of NannyML)."""
    weeks = numbers.mean(axis=2)
    reference = weeks[:, :RUNS_PER_YEAR]
    return _any(np.abs(weeks - reference.mean(1)[:, None]) > 3 * reference.std(1)[:, None])


def pull(limit: float) -> Rule:
    """Returns the rule of popmon: beyond `limit` standard deviations from the mean of all weeks before."""

    def stops(numbers: Floats) -> Marks:
        return _any(np.abs(pulls(numbers.mean(axis=2))) > limit)

    return stops


def pulls(weeks: Floats, change: float = 0.0) -> Floats:
    """Returns (S, W) deviations from the mean of all weeks before, in their standard deviations.

    `change` is added to each week while it is judged.
    """
    before = np.arange(weeks.shape[1])
    count = np.maximum(before, 1)
    total, square = (np.cumsum(x, axis=1) - x for x in (weeks, weeks**2))
    spread = np.sqrt(np.maximum(square / count - (total / count) ** 2, 1e-12))
    return np.asarray(np.where(before > 1, (weeks + change - total / count) / spread, 0.0))


def _any(marks: Sequence[Marks] | Marks) -> Marks:
    """Returns (W,) whether any statistic is marked."""
    return np.asarray(np.any(np.asarray(marks), axis=0))


OURS = "ours, budget 1"
RULES: Mapping[str, Rule] = {
    "ours, budget 0.6": ours(0.6),
    OURS: ours(1.0),
    "mean ± 3 sd of a year (NannyML)": three_sigma,
    "pull > 4 (popmon, yellow)": pull(4),
    "pull > 7 (popmon, red)": pull(7),
}


def healthy(years: int, seed: int, rules: Mapping[str, Rule] = RULES, *, heavy: float = 0.0) -> list[Rate]:
    """Returns how many healthy runs each rule stops in so many years, rounded up to whole products.

    heavy: part of the shares and means that have heavy tails.
    """
    products = -(-years // _YEARS)
    stopped = dict.fromkeys(rules, 0)
    for number in range(products):
        numbers = product(default_rng([seed, number]), heavy)
        for name, rule in rules.items():
            stopped[name] += int(rule(numbers)[RUNS_PER_YEAR:].sum())
    return [Rate(name, products * _YEARS, count) for name, count in stopped.items()]


def product(rng: Generator, heavy: float = 0.0) -> Floats:
    """Draws (S, W, 7) numbers of one product: eleven years of weekly runs."""
    weeks = RUNS_PER_YEAR * (_YEARS + 1)
    noise = rng.uniform(*_NOISE)
    shared = rng.standard_normal(weeks)
    holidays = rng.integers(0, RUNS_PER_YEAR * 7, _HOLIDAYS)
    numbers = [
        _count(rng, weeks, noise, shared, holidays) if number < _COUNTS else _share(rng, weeks, heavy)
        for number in range(STATISTICS)
    ]
    return np.stack(numbers)


def _count(rng: Generator, weeks: int, noise: float, shared: Floats, holidays: NDArray[np.int64]) -> Floats:
    level = _season(rng, weeks, _SEASON) + _trend(rng, weeks)
    level += noise * (np.sqrt(_SHARED) * shared + np.sqrt(1 - _SHARED) * rng.standard_normal(weeks))
    days = (level[:, None] + _weekdays(rng) + noise / 2 * rng.standard_normal((weeks, 7))).ravel()
    year = np.arange(len(days)) // (RUNS_PER_YEAR * 7)
    for day in holidays:
        place = year * RUNS_PER_YEAR * 7 + day == np.arange(len(days))
        days[place] += np.log1p(-rng.uniform(*_HOLIDAY, place.sum()))
    return days.reshape(weeks, 7)


def _share(rng: Generator, weeks: int, heavy: float) -> Floats:
    noise = rng.uniform(*_SHARE_NOISE)
    drawn = rng.standard_t(_HEAVY_TAIL, weeks) if rng.random() < heavy else rng.standard_normal(weeks)
    level = _season(rng, weeks, _SEASON_OF_SHARES) + noise * drawn
    return np.asarray(level[:, None] + _weekdays(rng) / 4 + noise / 2 * rng.standard_normal((weeks, 7)))


def _season(rng: Generator, weeks: int, size: float) -> Floats:
    week = np.arange(weeks) + rng.uniform(0, RUNS_PER_YEAR)
    return np.asarray(np.log1p(size * np.sin(2 * np.pi * week / RUNS_PER_YEAR)))


def _trend(rng: Generator, weeks: int) -> Floats:
    slopes = rng.uniform(-_TREND, _TREND, weeks // RUNS_PER_YEAR + 1)
    return np.asarray(np.repeat(slopes, RUNS_PER_YEAR)[:weeks].cumsum())


def _weekdays(rng: Generator) -> Floats:
    return np.asarray(0.15 * rng.standard_normal(7))


@dataclass(frozen=True)
class Power:
    """Share of weeks in which a rule sees a change of one statistic to a part of what it would have been."""

    noise: float
    part: float
    ours: float
    pull: float
    """popmon's rule with the limit that stops as many healthy weeks as ours."""


def power(seed: int, budget: float = 1.0, noises: Sequence[float] = (0.05, 0.09, 0.13)) -> list[Power]:
    """Returns the power of ours and of popmon's rule at equal false alarms, for counts of several noises."""
    found = []
    probability = probability_of(budget, RUNS_PER_YEAR, STATISTICS)
    for noise in noises:
        rng = default_rng([seed, round(noise * 100)])
        weeks = RUNS_PER_YEAR * (_YEARS + 1)
        holidays = rng.integers(0, RUNS_PER_YEAR * 7, _HOLIDAYS)
        days = np.stack([_count(rng, weeks, noise, rng.standard_normal(weeks), holidays) for _ in range(STATISTICS)])
        again = [replay(one, prior=0.12, floor=0.024, probability=probability) for one in days]
        errors = np.stack([one.level - one.expected for one in again])[:, RUNS_PER_YEAR:]
        widths = np.stack([one.width(probability) for one in again])[:, RUNS_PER_YEAR:]
        stopped = (np.abs(errors) > widths).mean()
        means = days.mean(axis=2)
        healthy_pulls = np.abs(pulls(means))[:, RUNS_PER_YEAR:]
        limit = np.quantile(healthy_pulls, 1 - max(stopped, 1 / healthy_pulls.size))
        for part in _POWER_CHANGES:
            seen = (np.abs(errors + np.log(part)) > widths).mean()
            theirs = (np.abs(pulls(means, float(np.log(part))))[:, RUNS_PER_YEAR:] > limit).mean()
            found.append(Power(noise, part, float(seen), float(theirs)))
    return found
