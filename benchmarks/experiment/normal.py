"""Sums over users whose figures are normal, drawn without drawing users: exact, and quick for a million."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.random import Generator

from models.experiment.moments import WHOLE_BP, Floats, Moments, Slice, slices_at, variables_of

Means = Callable[[int, bool], float]
"""(week, whether it is treated) → mean of a user's figure."""


def alike(correlation: float, weeks: int, *, decay: float = 1.0) -> Floats:
    """Returns the correlation of weeks 0 … `weeks`; that of two weeks shrinks with the weeks between them."""
    apart = np.abs(np.subtract.outer(np.arange(weeks + 1), np.arange(weeks + 1)))
    return np.asarray(np.where(apart == 0, 1.0, correlation * decay ** np.maximum(apart - 1, 0)))


def experiment(
    shares_bp: Sequence[int],
    joining: Mapping[int, int],
    covariance: Floats,
    means: Means,
    rng: Generator,
) -> Mapping[Slice, Moments]:
    """Returns the sums of each slice; `joining`: users who join the audience before a week (0: were there before)."""
    weeks = len(shares_bp)
    found = {}
    for part in slices_at(shares_bp):
        treated = [False] + [part.is_treated(share) for share in shares_bp]
        mean = np.array([means(week, is_treated) for week, is_treated in enumerate(treated)])
        users = {week: rng.binomial(size, part.width_bp / WHOLE_BP) for week, size in joining.items()}
        cohorts = [_cohort(size, week, mean, covariance, rng) for week, size in users.items()]
        found[part] = sum(cohorts, Moments.none(variables_of(weeks, ratio=False)))
    return found


def _cohort(users: int, joined: int, mean: Floats, covariance: Floats, rng: Generator) -> Moments:
    """Returns the sums of users who are in the audience from a week on: a normal mean and a Wishart scatter."""
    size = len(mean)
    variables = variables_of(size - 1, ratio=False)
    root = np.linalg.cholesky(covariance)
    average = mean + root @ rng.standard_normal(size) / math.sqrt(users)
    bartlett = np.tril(rng.standard_normal((size, size)), -1)
    bartlett[np.diag_indices(size)] = np.sqrt(rng.chisquare(users - 1 - np.arange(size)))
    factor = root @ bartlett
    there = np.arange(size) >= joined
    is_x = np.array([name[0] == "x" for name in variables])
    level = np.where(is_x, np.repeat(average, 2), 1.0) * np.repeat(there, 2)
    products = users * np.outer(level, level)
    products[np.ix_(is_x, is_x)] += (factor @ factor.T) * np.outer(there, there)
    return Moments(variables, users, users * level, products)
