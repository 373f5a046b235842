"""Bounds for weekly looks at one experiment: error spent by information, found by numerical integration.

The Z-values of looks are jointly normal. A look may spend what the spending function allows by its information (Lan
and DeMets 1983); its bound is the one whose crossing, without a crossing before, has that probability. The density of a
Z-value that has not crossed is carried from look to look (Armitage, McPherson and Rowe 1969) on Gauss–Legendre nodes.
That is exact where a look depends on those before by the last one alone, as efficient estimates do: corr² = I₁ / I₂.
Where they do not, `paths.py` follows the whole past.
"""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from models.experiment.paths import LEAST_NEWS, Floats, Paths

Spending = Callable[[float, float], float]
"""(fraction of the information, error) → part of the error that may be spent by then; all of it at 1."""

FAR = 9.0
"""Standard errors beyond which nothing is counted; the probability of more is 1e-19."""
_NODES, _NODES_PER_DEVIATION = 64, 6
_ALIKE = 1e-6
"""Correlations that differ by less are the same."""


def obrien_fleming(fraction: float, alpha: float) -> float:
    """Returns 2 − 2 Φ(z(α/2) / √t): little early, so that the last bound is nearly that of a single look."""
    return 2 * float(ndtr(ndtri(alpha / 2) / math.sqrt(fraction))) if fraction > 0 else 0.0


def pocock(fraction: float, alpha: float) -> float:
    """Returns α ln(1 + (e − 1) t): much early, so that bounds are about the same at each look."""
    return alpha * math.log1p((math.e - 1) * fraction)


def kim_demets(exponent: float) -> Spending:
    """Returns the spending α tᵉ: with 1 as information comes, with 3 near O'Brien and Fleming."""
    return lambda fraction, alpha: alpha * fraction**exponent


@dataclass(frozen=True)
class Bounds:
    """The bound of each look, in standard errors, and what is spent of the error of one side by then."""

    z: tuple[float, ...]
    """inf: the look may spend nothing."""
    spent: tuple[float, ...]
    sides: int

    @property
    def last(self) -> float:
        """The bound of the newest look."""
        return self.z[-1]


def efficient(fractions: Sequence[float]) -> Floats:
    """Returns the correlation of Z-values of efficient estimates: √(I₁ / I₂)."""
    information = np.asarray(fractions, dtype=np.float64)
    return np.asarray(np.sqrt(np.minimum.outer(information, information) / np.maximum.outer(information, information)))


def bounds(
    fractions: Sequence[float],
    alpha: float,
    spending: Spending = obrien_fleming,
    *,
    sides: int = 2,
    correlation: Floats | None = None,
) -> Bounds:
    """Returns the bounds of looks at these fractions of the information; at 1 everything is spent.

    `alpha` is the error of all sides together; `correlation` that of the Z-values, if estimates are not efficient; with
    it, a spending function of its own may take the fractions for anything that rises, e.g. the number of the look.
    A look that brings no information spends nothing.
    """
    correlation = efficient(fractions) if correlation is None else correlation
    allowed = [spending(fraction, alpha / sides) for fraction in fractions]
    spenders = [look for look, error in enumerate(allowed) if error > max(allowed[:look], default=0.0)]
    walk = _walk(correlation, spenders)
    spent, found = [0.0], []
    for look, error in enumerate(allowed):
        may_spend = look in spenders and walk.enter(look)
        z = _bound_for(walk, error - spent[-1], sides) if may_spend else math.inf
        spent.append(error if may_spend else spent[-1])
        if may_spend:
            walk.leave(-z if sides == 2 else -FAR, z)
        found.append(z)
    return Bounds(tuple(found), tuple(spent[1:]), sides)


def crossing(found: Bounds, means: Sequence[float], correlation: Floats) -> Floats:
    """Returns the probability of crossing the upper bound by each look, if Z-values have these means."""
    looks = [look for look, z in enumerate(found.z) if math.isfinite(z)]
    walk, total, by = _walk(correlation, looks), 0.0, []
    for look, (z, mean) in enumerate(zip(found.z, means, strict=True)):
        if look in looks and walk.enter(look):
            total += walk.above(z - mean)
            walk.leave(-z - mean if found.sides == 2 else -FAR, z - mean)
        by.append(total)
    return np.array(by)


def _walk(correlation: Floats, looks: Sequence[int]) -> "_Walk | Paths":
    """Returns what follows Z-values of this correlation over these looks."""
    some = correlation[np.ix_(looks, looks)]
    by_last = some[:-1, :-1] * np.diagonal(some, 1)  # if a look knew those before by the last one alone
    is_efficient = np.allclose(np.triu(by_last), np.triu(some[:-1, 1:]), rtol=0, atol=_ALIKE)
    return _Walk(correlation) if is_efficient else Paths(correlation)


def _bound_for(walk: "_Walk | Paths", error: float, sides: int) -> float:
    """Returns the bound above which the probability is `error`, and below its negative, too; FAR at most."""

    def beyond(z: float) -> float:
        return walk.above(z) if sides == 1 else (walk.above(z) + walk.below(-z)) / 2

    if beyond(FAR) >= error:
        return FAR
    return float(brentq(lambda z: beyond(z) - error, -FAR if sides == 1 else 0.0, FAR, xtol=1e-9))


class _Walk:
    """The density of a Z-value, less its mean, at the newest look, of paths that have not left their bounds before."""

    def __init__(self, correlation: Floats) -> None:
        self._correlation = correlation
        self._last: int | None = None
        self._link, self._news = 0.0, 1.0
        self._kept = np.zeros(1), np.ones(1)
        self._range = -FAR, FAR

    def enter(self, look: int) -> bool:
        """Moves to a look; returns whether it brings anything new."""
        if self._last is not None:
            link = float(self._correlation[self._last, look])
            news = 1 - link**2
            if news < LEAST_NEWS:
                return False
            self._kept = self._survivors(math.sqrt(news))
            self._link, self._news = link, math.sqrt(news)
        self._last = look
        return True

    def leave(self, low: float, high: float) -> None:
        """Keeps the paths that are within these bounds at this look."""
        self._range = min(max(low, -FAR), FAR), min(max(high, -FAR), FAR)

    def above(self, z: float) -> float:
        """Returns the probability of a value above `z` at this look."""
        nodes, mass = self._kept
        return float(ndtr((self._link * nodes - z) / self._news) @ mass)

    def below(self, z: float) -> float:
        """Returns the probability of a value below `z` at this look."""
        nodes, mass = self._kept
        return float(ndtr((z - self._link * nodes) / self._news) @ mass)

    def _survivors(self, width: float) -> tuple[Floats, Floats]:
        """Returns nodes in the bounds of this look and their mass, close enough for a kernel of this width."""
        low, high = self._range
        needed = max(_NODES, math.ceil((high - low) / width * _NODES_PER_DEVIATION))
        unit, weights = _legendre(1 << (needed - 1).bit_length())
        nodes = low + (high - low) * (unit + 1) / 2
        before, mass = self._kept
        scaled = (nodes[:, None] - self._link * before) / self._news
        density = np.exp(-0.5 * scaled**2) @ mass / (self._news * math.sqrt(2 * math.pi))
        return nodes, density * weights * (high - low) / 2


@functools.cache
def _legendre(nodes: int) -> tuple[Floats, Floats]:
    """Returns nodes and weights on −1 … 1."""
    unit, weights = np.polynomial.legendre.leggauss(nodes)
    return unit, weights
