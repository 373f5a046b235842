"""How often intervals hold the truth: four weeks at a quarter share, ours beside what is often done.

The rival of a difference takes the weeks for other users each; that of a lift takes the control's mean for known.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator, default_rng
from scipy.special import ndtri

from benchmarks.experiment.worlds import KINDS, Pool, pool_of
from models.experiment.effects import Effect, NoEffect, Week, effect_of
from models.experiment.moments import WHOLE_BP, Slice

WEEKS, SHARE_BP, POOL = 4, 2_500, 200_000
Z = float(ndtri(0.975))
Hit = Callable[[Effect, list[Effect]], bool]


@dataclass
class Coverage:
    """How many of the intervals held the truth."""

    metric: str
    correlation: float
    users: int
    """Of the treated arm; the other is three times as large."""
    rounds: int
    ours: float
    rival: float

    def __str__(self) -> str:
        who = f"{self.metric}, weeks correlated {self.correlation:g}, {self.users:,} users"
        return f"{who}: {100 * self.ours:.2f} % (rival {100 * self.rival:.1f} %)"


def table(rounds: int, seed: int) -> Iterator[Coverage]:
    """Yields all kinds of metrics, correlations and sizes."""
    for users in (1_000, 10_000):
        for place, name in enumerate(KINDS):
            for correlation in (0.3, 0.5, 0.8):
                rng = default_rng([seed, users, place, round(10 * correlation)])
                yield from coverage(name, correlation, users, rounds, rng)


def coverage(name: str, correlation: float, users: int, rounds: int, rng: Generator) -> Iterator[Coverage]:
    """Yields the coverage of the plain, the CUPED and the relative interval of a kind of metric."""
    pool = pool_of(KINDS[name], correlation, WEEKS, POOL, rng)
    weeks = [Week(number, SHARE_BP) for number in range(1, WEEKS + 1)]
    truth = Truth.of(pool, weeks)
    hits = np.zeros((3, 2))
    for _ in range(rounds):
        moments = {
            Slice(0, SHARE_BP): pool.moments(rng.integers(0, POOL, users), treated=True),
            Slice(SHARE_BP, WHOLE_BP): pool.moments(rng.integers(0, POOL, 3 * users), treated=False),
        }
        for place, cuped in enumerate((False, True)):
            found = _known(effect_of(moments, weeks, ratio=pool.ratio, cuped=cuped))
            alone = [_known(effect_of(moments, [week], ratio=pool.ratio, cuped=cuped)) for week in weeks]
            hits[place] += truth.in_interval(found), truth.in_independent(found, alone)
            if not cuped:
                hits[2] += truth.in_lift(found), truth.in_simple_lift(found)
    for what, (ours, rival) in zip(("", ", CUPED", ", relative"), hits / rounds, strict=True):
        yield Coverage(name + what, correlation, users, rounds, float(ours), float(rival))


@dataclass(frozen=True)
class Truth:
    """What intervals should hold."""

    weights: tuple[float, ...]
    difference: float
    lift: float

    @classmethod
    def of(cls, pool: Pool, weeks: list[Week]) -> "Truth":
        """Returns the weighted means of the pool's figures."""
        treated, control = ([pool.mean(week.number, treated=arm) for week in weeks] for arm in (True, False))
        users = pool.control.sum(axis=0, dtype=np.float64)[[pool.variables.index(f"a{week.number}") for week in weeks]]
        weights = users / users.sum()
        above, below = float(weights @ treated), float(weights @ control)
        return cls(tuple(weights), above - below, above / below - 1)

    def in_interval(self, found: Effect) -> bool:
        """Returns whether our interval holds the difference."""
        interval = found.interval(Z)
        return interval.low <= self.difference <= interval.high

    def in_independent(self, found: Effect, alone: list[Effect]) -> bool:
        """Returns whether an interval does that takes weeks as independent."""
        terms = (weight**2 * one.difference.variance for weight, one in zip(self.weights, alone, strict=True))
        return abs(found.difference.value - self.difference) <= Z * math.sqrt(sum(terms))

    def in_lift(self, found: Effect) -> bool:
        """Returns whether our interval holds the lift; one that cannot be given does not."""
        interval = found.lift_interval(Z)
        return interval is not None and interval.low <= self.lift <= interval.high

    def in_simple_lift(self, found: Effect) -> bool:
        """Returns whether that of the difference, divided by the control's mean, does."""
        interval, control = found.interval(Z), found.control.value
        return interval.low / control <= self.lift <= interval.high / control


def _known(effect: Effect | NoEffect) -> Effect:
    if isinstance(effect, NoEffect):
        raise AssertionError(effect.reason)
    return effect
