"""Weekly looks: how often nothing is called a win, how wide the last interval is, and a planted Simpson's paradox."""

import functools
import math
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator, default_rng
from scipy.optimize import minimize_scalar
from scipy.special import ndtri

from benchmarks.experiment.normal import alike, experiment
from models.experiment.decide import ALPHA, SPENT, Looks
from models.experiment.effects import Effect, NoEffect, Week, effect_of, looks_of
from models.experiment.moments import Floats
from models.experiment.plan import planned_information
from models.experiment.sequential import bounds, kim_demets, obrien_fleming, pocock

Z = float(ndtri(1 - ALPHA / 2))
_SEEN = 1_000
"""Times that the looks of one world are drawn."""


@dataclass(frozen=True)
class FalseWins:
    """How often an experiment without any effect was called a win or a loss in some week's report."""

    looks: int
    world: str
    rounds: int
    ours: float
    moving: float
    """Bounds of all looks by the newest plan, as they were until the plan of each look was kept."""
    alone: float
    """Each look for itself at 1.96."""

    def __str__(self) -> str:
        rivals = f"bounds that move {100 * self.moving:.2f} %, each at 1.96 {100 * self.alone:.1f} %"
        return f"{self.looks} looks, {self.world}: {100 * self.ours:.2f} % ({rivals})"


def false_wins(rounds: int, seed: int) -> Iterator[FalseWins]:
    """Yields them for 4, 8 and 12 looks: audience and noise change by week, the share rises, as planned or not.

    Sums of a fiftieth of the rounds are drawn, and for each a thousand times what the looks see: the means of normal
    users do not depend on their variances, from which bounds and plans are made.
    """
    for looks in (4, 8, 12):
        for world, decay in (("weeks correlated .5", 1.0), ("correlation falls by a tenth a week from .8", 0.9)):
            for is_planned in (True, False):
                rng = default_rng([seed, looks, round(10 * decay), is_planned])
                correlation = alike(0.5 if decay == 1 else 0.8, looks, decay=decay)
                worlds = max(1, rounds // 50)
                hits = np.zeros(3)
                for _ in range(worlds):
                    hits += _one(looks, correlation, rng, is_planned=is_planned)
                said = f"{world}, the rise of the share {'' if is_planned else 'not '}planned"
                yield FalseWins(looks, said, rounds, *map(float, hits / worlds))


def _one(looks: int, correlation: Floats, rng: Generator, *, is_planned: bool) -> tuple[float, float, float]:
    """Returns how often ours and the rivals call an experiment without effect anything else."""
    noise = rng.uniform(1.0, 3.0, looks + 1)
    shares = [2_500 if week < looks / 2 else 5_000 for week in range(looks)]
    joining = {0: 30_000} | {week: int(rng.integers(500, 8_000)) for week in range(1, looks, 2)}
    moments = experiment(shares, joining, correlation * np.outer(noise, noise), lambda *_: 1.0, rng)
    effects = effects_of(moments, shares)
    everybody = functools.reduce(operator.add, moments.values())
    planned = []
    for look, effect in enumerate(effects, 1):
        to_come = shares[look:] if is_planned else shares[look - 1 : look] * (looks - look)
        planned.append(planned_information(everybody, effect, to_come))
    seen = np.abs(rng.multivariate_normal(np.zeros(looks), looks_of(effects)[1], _SEEN, method="eigh"))
    moving = np.zeros(_SEEN, np.bool_)
    for look in range(1, looks + 1):
        newest = Looks(tuple(effects[:look]), (planned[look - 1],) * look, is_last=look == looks)
        moving |= (seen[:, :look] >= newest.bounds().z).any(axis=1)
    ours = (seen >= Looks(tuple(effects), tuple(planned), is_last=True).bounds().z).any(axis=1)
    return float(ours.mean()), float(moving.mean()), float((seen >= Z).any(axis=1).mean())


def effects_of(moments: object, shares_bp: Sequence[int]) -> list[Effect]:
    """Returns the effect after each week."""
    weeks = [Week(number, share) for number, share in enumerate(shares_bp, 1)]
    found = [effect_of(moments, weeks[:number]) for number in range(1, len(weeks) + 1)]  # type: ignore[arg-type]
    bad = [effect for effect in found if isinstance(effect, NoEffect)]
    if bad:
        raise AssertionError(bad[0].reason)
    return [effect for effect in found if isinstance(effect, Effect)]


@dataclass(frozen=True)
class Width:
    """Width of an interval at the last look ÷ that of one that may be looked at once."""

    information: str
    ours: float
    kim_demets: float
    pocock: float
    always_valid: float

    def __str__(self) -> str:
        others = f"Kim–DeMets 3 {self.kim_demets:.3f}, Pocock {self.pocock:.3f}, always valid {self.always_valid:.2f}"
        return f"{self.information}: {self.ours:.3f} ({others})"


def widths(looks: int = 12) -> Iterator[Width]:
    """Yields them for information that comes evenly, and as weeks of the same users bring it."""
    always = minimize_scalar(lambda scale: _mixture(math.exp(scale)), bounds=(-3, 6), method="bounded").fun / Z
    for correlation in (0.0, 0.3, 0.5, 0.8):
        variance = [correlation + (1 - correlation) / week for week in range(1, looks + 1)]
        fractions = [variance[-1] / some for some in variance]
        ours, power, flat = (
            bounds(fractions, ALPHA * SPENT, spending).last / Z for spending in (obrien_fleming, kim_demets(3), pocock)
        )
        yield Width(f"{looks} looks, weeks correlated {correlation:g}", ours, power, flat, float(always))


def _mixture(scale: float) -> float:
    """Returns the half width of a normal mixture's confidence sequence (Robbins 1970) where it is narrowest."""
    return math.sqrt((1 + 1 / scale) * math.log((1 + scale) / ALPHA**2))


@dataclass(frozen=True)
class Simpson:
    """Estimates where the share rises while everybody does more from week to week, and the treatment does harm."""

    rounds: int
    truth: float
    bias: float
    """Of ours, in standard errors."""
    pooled: float
    """Mean of what pooling all user-weeks of each arm gives."""
    ours_negative: float
    pooled_positive: float

    def __str__(self) -> str:
        return (
            f"truth {self.truth:+.4f}: bias of ours {self.bias:+.3f} standard errors, "
            f"negative in {100 * self.ours_negative:.1f} %; "
            f"pooled {self.pooled:+.3f}, positive in {100 * self.pooled_positive:.1f} %"
        )


def simpson(rounds: int, seed: int) -> Simpson:
    """Returns how far estimates are off."""
    rng, shares, level = default_rng([seed, 7]), [500, 2_500, 5_000, 9_500], [1.0, 1.0, 1.4, 1.8, 2.2]
    covariance = 4 * alike(0.5, 4)
    sums = np.zeros(5)
    for _ in range(rounds):
        moments = experiment(
            shares, {0: 400_000}, covariance, lambda week, treated: level[week] * (0.97 if treated else 1.0), rng
        )
        effect = effects_of(moments, shares)[-1]
        weights = np.array([share * (10_000 - share) for share in shares], dtype=np.float64)
        truth = float(weights @ level[1:]) / weights.sum() * -0.03
        total = np.zeros((2, 2))
        for part, some in moments.items():
            for week, share in enumerate(shares, 1):
                at = some.variables.index(f"a{week}")
                total[int(part.is_treated(share))] += some.total[at : at + 2]
        pooled = total[1, 1] / total[1, 0] - total[0, 1] / total[0, 0]
        error = (effect.difference.value - truth) / effect.difference.se
        sums += error, pooled, effect.difference.value < 0, pooled > 0, truth
    bias, pooled, negative, positive, truth = (float(some) for some in sums / rounds)
    return Simpson(rounds, truth, bias, pooled, negative, positive)
