"""Generated users whose true effect is known: a pool of weekly histories from which samples are drawn with replacement.

A user does the usual thing of their own in a week with probability √ρ, else something new from the same distribution;
so any two weeks, week 0 among them, have the correlation ρ whatever the distribution. The truth is that of the pool.
A tenth of the users joins during the weeks: before that they are in nobody's audience.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from models.experiment.moments import Floats, Moments, variables_of

Pair = tuple[Floats, Floats]
"""x and y of users."""
Ints = NDArray[np.int64]
Singles = NDArray[np.float32]
"""Counts are exact in them; sums of a sample are good to six digits, enough for an interval."""


@dataclass(frozen=True)
class Kind:
    """What users do in a week, and what the treatment changes about it."""

    usual: Callable[[Generator, int], Pair]
    treat: Callable[[Generator, Floats, Floats], Floats]
    ratio: bool = False


def _counts(rng: Generator, users: int) -> Pair:
    return rng.poisson(rng.gamma(1.2, 2.0, users)).astype(float), np.ones(users)


def _flags(rng: Generator, users: int) -> Pair:
    return (rng.random(users) < 0.1).astype(float), np.ones(users)


def _heavy(rng: Generator, users: int) -> Pair:
    return (rng.random(users) < 0.2) * rng.lognormal(0.0, 1.2, users), np.ones(users)


def _clicks(rng: Generator, users: int) -> Pair:
    answers = rng.poisson(rng.gamma(2.0, 2.5, users))
    return rng.binomial(answers, rng.beta(1.0, 6.0, users)).astype(float), answers.astype(float)


def _more(rng: Generator, x: Floats, y: Floats) -> Floats:
    return x + rng.binomial(x.astype(np.int64), 0.05)


KINDS: Mapping[str, Kind] = {
    "mean": Kind(_counts, _more),
    "proportion": Kind(_flags, lambda rng, x, y: np.maximum(x, rng.random(len(x)) < 0.005)),
    "heavy tail": Kind(_heavy, lambda rng, x, y: x * 1.05),
    "ratio": Kind(_clicks, lambda rng, x, y: x + rng.binomial((y - x).astype(np.int64), 0.01), ratio=True),
}


@dataclass(frozen=True, eq=False)
class Pool:
    """Histories of users, as they are without and with treatment in every week; rows are the same users."""

    variables: tuple[str, ...]
    weeks: int
    ratio: bool
    control: Singles
    treated: Singles

    def moments(self, rows: Ints, *, treated: bool) -> Moments:
        """Returns the sums over a sample of users."""
        sample = np.take(self.treated if treated else self.control, rows, axis=0)
        return Moments(
            self.variables, len(rows), sample.sum(axis=0, dtype=np.float64), (sample.T @ sample).astype(float)
        )

    def mean(self, week: int, *, treated: bool) -> float:
        """Returns the true figure of an arm in a week."""
        total = (self.treated if treated else self.control).sum(axis=0, dtype=np.float64)
        below = total[self.variables.index(f"{'y' if self.ratio else 'a'}{week}")]
        return float(total[self.variables.index(f"x{week}")] / below)


def pool_of(kind: Kind, correlation: float, weeks: int, users: int, rng: Generator) -> Pool:
    """Returns a pool of users."""
    variables = variables_of(weeks, ratio=kind.ratio)
    control, treated = (np.zeros((users, len(variables)), np.float32) for _ in range(2))
    habit_x, habit_y = kind.usual(rng, users)
    joined = np.where(rng.random(users) < 0.1, rng.integers(1, weeks + 1, users), 0)
    for week in range(weeks + 1):
        new_x, new_y = kind.usual(rng, users)
        is_usual = rng.random(users) < math.sqrt(correlation)
        there = week >= joined
        x, y = np.where(is_usual, habit_x, new_x), np.where(is_usual, habit_y, new_y)
        figures = {"a": there, "x": x * there, "y": y * there}
        for name, column in figures.items():
            if f"{name}{week}" in variables:
                control[:, variables.index(f"{name}{week}")] = column
                treated[:, variables.index(f"{name}{week}")] = column
        if week:
            treated[:, variables.index(f"x{week}")] = kind.treat(rng, x, y) * there
    return Pool(variables, weeks, kind.ratio, control, treated)
