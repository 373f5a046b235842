"""Estimates that are functions of sums over users, with their exact covariance by the delta method.

An estimate has an influence: a weight for each variable of a user, by slice. The users' weighted figures have the
estimate's variance, so sums, products and quotients of estimates follow the chain rule, whatever weeks and arms they
share. Variances are those of users drawn independently, within slices, with n − 1 in the denominator.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.errors import BadMoments
from models.experiment.moments import Floats, Moments, Slice

Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Sums:
    """The moments of all slices of a hash, stacked."""

    slices: tuple[Slice, ...]
    variables: tuple[str, ...]
    n: Floats
    """(slices,) users."""
    total: Floats
    """(slices, v)."""
    scatter: Floats
    """(slices, v, v) covariance of a user's figures × users."""

    @classmethod
    def of(cls, moments: Mapping[Slice, Moments]) -> "Sums":
        """Returns the stack. Raises BadMoments unless the slices are the whole hash, once, with the same variables."""
        slices = tuple(sorted(moments))
        edges = [(before.high_bp, after.low_bp) for before, after in itertools.pairwise(slices)]
        if not slices or slices[0].low_bp or slices[-1].high_bp != 10_000 or any(high != low for high, low in edges):
            raise BadMoments(
                f"slices {', '.join(map(str, slices)) or 'none'}: they must be the whole hash, each part once"
            )
        variables = moments[slices[0]].variables
        parts = [moments[part].select(variables) for part in slices]
        n = np.array([part.n for part in parts], dtype=np.float64)
        total = np.stack([part.total for part in parts])
        centred = np.stack([part.products for part in parts]) - _outer(total) / np.maximum(n, 1)[:, None, None]
        return cls(slices, variables, n, total, centred * (n / np.maximum(n - 1, 1))[:, None, None])

    def treated(self, share_bp: int) -> Bools:
        """Returns which slices are treated at a share. Raises BadMoments if it cuts one."""
        return np.array([part.is_treated(share_bp) for part in self.slices])

    def sum(self, variable: str, arm: Bools) -> float:
        """Returns the sum of a variable over the users of an arm."""
        return float(self.total[arm, self._at(variable)].sum())

    def quotient(self, above: str, below: str, arm: Bools) -> "Estimate":
        """Returns Σ above ÷ Σ below over the users of an arm; the denominator must not be 0."""
        divisor = self.sum(below, arm)
        value = self.sum(above, arm) / divisor
        influence = np.zeros_like(self.total)
        influence[arm, self._at(above)] += 1 / divisor
        influence[arm, self._at(below)] -= value / divisor
        return Estimate(value, influence, self)

    def _at(self, variable: str) -> int:
        if variable not in self.variables:
            raise BadMoments(f"moments hold {', '.join(self.variables)} and not {variable}")
        return self.variables.index(variable)


@dataclass(frozen=True, eq=False)
class Estimate:
    """A number that was computed from sums, and how each user moved it."""

    value: float
    influence: Floats
    """(slices, v)."""
    sums: Sums

    def covariance(self, other: "Estimate") -> float:
        """Returns the covariance with another estimate from the same sums."""
        return float(np.einsum("sv,svw,sw->", self.influence, self.sums.scatter, other.influence))

    @property
    def variance(self) -> float:
        """Square of the standard error."""
        return max(0.0, self.covariance(self))

    @property
    def se(self) -> float:
        """Standard error."""
        return math.sqrt(self.variance)

    def __add__(self, other: "Estimate") -> "Estimate":
        return Estimate(self.value + other.value, self.influence + other.influence, self.sums)

    def __sub__(self, other: "Estimate") -> "Estimate":
        return self + other * -1.0

    def __mul__(self, factor: float) -> "Estimate":
        return Estimate(self.value * factor, self.influence * factor, self.sums)


def weighted(parts: Sequence[Estimate], weights: Sequence[float]) -> Estimate:
    """Returns the weighted mean; there is at least one part and the weights do not add up to 0."""
    whole = sum(weights)
    value = sum(part.value * weight for part, weight in zip(parts, weights, strict=True)) / whole
    influence = np.tensordot(np.array(weights) / whole, np.stack([part.influence for part in parts]), 1)
    return Estimate(value, influence, parts[0].sums)


def covariance_of(estimates: Sequence[Estimate]) -> Floats:
    """Returns the covariance matrix of estimates from the same sums."""
    stacked = np.stack([estimate.influence for estimate in estimates])
    return np.asarray(np.einsum("isv,svw,jsw->ij", stacked, estimates[0].sums.scatter, stacked, optimize=True))


def _outer(total: Floats) -> Floats:
    return np.asarray(total[:, :, None] * total[:, None, :])
