"""A thousand ramps on the real decision, week by week on a clock that is not there, of users with heavy-tailed counts.

Counts have a coefficient of variation of 2 and weeks that are correlated by .5. Each ramp draws its users anew from a
pool, and decides by two guardrails with a margin of 1 %: the metric that may be harmed, and one that is not (at the
margin: both are).
"""

import functools
import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator, default_rng

from jobs.experiments.report import shares_to_come
from models.experiment.decide import HARM_ALPHA, Guardrail, Looks, harm_of
from models.experiment.effects import Effect, NoEffect, Week, effect_of
from models.experiment.moments import Floats, Moments, Slice, slices_at, variables_of
from models.experiment.plan import planned_information
from models.experiment.ramp import Decision, Known, Operator, Ramp, decide

STEPS_BP = (100, 500, 2_500, 5_000, 9_500)
WEEKS, POOL = 8, 20_000
"""Weeks that a ramp may take; histories of users in the pool."""
MARGIN = 0.01
_METRICS = ("clicks", "joins")


@dataclass(frozen=True)
class Ramps:
    """How ramps ended."""

    users: int
    lift: float
    """What the treatment does to the first metric."""
    rounds: int
    stopped_early: float
    """Before a share of 25 % was served."""
    stopped: float
    done: float
    """At the last step within the weeks."""
    weeks: float
    """Mean until the end."""
    rival_stopped_early: float
    """The rule that stops once a difference is below 0 at p < .025, and raises otherwise."""
    rival_stopped: float

    def __str__(self) -> str:
        return (
            f"{self.users:,} users, {100 * self.lift:+g} %: stopped before 25 % {100 * self.stopped_early:.1f} %, "
            f"at all {100 * self.stopped:.1f} %, done {100 * self.done:.1f} %, {self.weeks:.1f} weeks "
            f"(rival: {100 * self.rival_stopped_early:.1f} %, {100 * self.rival_stopped:.1f} %)"
        )


def ramps(rounds: int, seed: int) -> Iterator[Ramps]:
    """Yields them for a harmful treatment, a harmless one, and one that is exactly at the margin."""
    for users in (1_000_000, 100_000):
        for lift in (-0.05, 0.0, -MARGIN):
            rng = default_rng([seed, users, round(-100 * lift)])
            yield _of(users, lift, rounds, rng)


def _of(users: int, lift: float, rounds: int, rng: Generator) -> Ramps:
    pools = [histories(factor, rng) for factor in (1 + lift, 1.0 + (lift if lift == -MARGIN else 0.0))]
    ends = []
    for _ in range(rounds):
        worlds = [World.of(pool, users, rng) for pool in pools]
        ends.append((*_ramp(worlds), *_rival(worlds[0])))
    early, stopped, done, weeks, rival_early, rival = (float(some) for some in np.mean(ends, axis=0))
    return Ramps(users, lift, rounds, early, stopped, done, weeks, rival_early, rival)


def histories(factor: float, rng: Generator) -> Floats:
    """Returns a pool: 1, figures of weeks 0 … WEEKS without treatment, then of weeks 1 … WEEKS with it."""
    shape = 1 / 3.5
    figures = rng.poisson(rng.gamma(shape, 2 / shape, (WEEKS + 2, POOL)))
    usual = rng.random((WEEKS + 1, POOL)) < np.sqrt(0.5)
    control = np.where(usual, figures[0], figures[1:]).astype(float)
    return np.concatenate([np.ones((1, POOL)), control, control[1:] * factor]).T.copy()


@dataclass(frozen=True, eq=False)
class World:
    """The sums of each slice over figures with and without treatment, of which a ramp picks some by week."""

    sums: Mapping[Slice, tuple[int, Floats]]

    @classmethod
    def of(cls, pool: Floats, users: int, rng: Generator) -> "World":
        """Returns users drawn from the pool."""
        found = {}
        for part in slices_at(STEPS_BP):
            size = int(rng.binomial(users, part.width_bp / 10_000))
            drawn = np.bincount(rng.integers(0, POOL, size), minlength=POOL)
            found[part] = size, pool.T @ (pool * drawn[:, None])
        return cls(found)

    def moments(self, shares_bp: Sequence[int]) -> dict[Slice, Moments]:
        """Returns the sums of an experiment with these shares."""
        variables = variables_of(len(shares_bp), ratio=False)
        found = {}
        for part, (size, products) in self.sums.items():
            at = [0, 1]
            for week, share in enumerate(shares_bp, 1):
                at += [0, 1 + week + (WEEKS if part.is_treated(share) else 0)]
            chosen = products[np.ix_(at, at)]
            found[part] = Moments(variables, size, chosen[0], chosen)
        return found

    def effects(self, shares_bp: Sequence[int], *, cuped: bool) -> list[Effect | NoEffect]:
        """Returns the effect after each week."""
        moments = self.moments(shares_bp)
        weeks = [Week(number, share) for number, share in enumerate(shares_bp, 1)]
        return [effect_of(moments, weeks[:number], cuped=cuped) for number in range(1, len(weeks) + 1)]


def _ramp(worlds: Sequence[World]) -> tuple[bool, bool, bool, int]:
    """Returns whether it was stopped before 25 %, at all, was done, and after how many weeks."""
    shares, stopped = _shares(worlds)
    done = STEPS_BP[-1] in shares and not stopped
    return stopped and max(shares) < 2_500, stopped, done, shares.index(STEPS_BP[-1]) + 1 if done else len(shares)


def _shares(worlds: Sequence[World], *, to_the_end: bool = False) -> tuple[list[int], bool]:
    """Returns the shares that the ramp decides week by week until its last step, or on, and whether it was stopped."""
    ramp, shares, decision = Ramp(STEPS_BP, "auto"), list[int](), Decision("hold", 0, ())
    while len(shares) < WEEKS and (to_the_end or STEPS_BP[-1] not in shares):
        harms = []
        if shares:
            weeks = [Week(number, share) for number, share in enumerate(shares, 1)]
            for metric, world in zip(_METRICS, worlds, strict=True):
                guardrail, alpha = Guardrail(metric, MARGIN), HARM_ALPHA / len(worlds)
                harms.append(harm_of(guardrail, world.moments(shares), weeks, alpha=alpha, cuped=True))
        decision = decide(ramp, Known(decision.share_bp, measured=True, harms=tuple(harms)), Operator())
        if decision.action == "stop":
            return shares, True
        shares.append(decision.share_bp)
    return shares, False


@dataclass(frozen=True)
class WinsInRamps:
    """How often a guardrail's metric without any effect was called a win or a loss while it held the ramp back."""

    users: int
    rounds: int
    ours: float
    held: float
    """Ramps that were held back or stopped at least once."""

    def __str__(self) -> str:
        return f"{self.users:,} users: {100 * self.ours:.2f} % ({100 * self.held:.0f} % of them were held or stopped)"


def wins(rounds: int, seed: int) -> Iterator[WinsInRamps]:
    """Yields them for ramps of harmless treatments, whose shares depend on what was seen; with CUPED, as by default."""
    for users in (1_000_000, 100_000):
        rng = default_rng([seed, users, 1])
        pool, ends = histories(1.0, rng), []
        for _ in range(rounds):
            worlds = [World.of(pool, users, rng) for _ in _METRICS]
            shares, stopped = _shares(worlds, to_the_end=True)
            is_held = stopped or shares != [*STEPS_BP, *[STEPS_BP[-1]] * (WEEKS - len(STEPS_BP))]
            ends.append((_is_won(worlds[0], shares, ended=not stopped), is_held))
        won, held = (float(some) for some in np.mean(ends, axis=0))
        yield WinsInRamps(users, rounds, won, held)


def _is_won(world: World, shares: Sequence[int], *, ended: bool) -> bool:
    """Returns whether any week's report called it anything, each planning the ramp's next steps."""
    effects = [one for one in world.effects(shares, cuped=True) if isinstance(one, Effect)]
    everybody, planned = functools.reduce(operator.add, world.moments(shares).values()), list[float]()
    for effect in effects:
        newest = effect.weeks[-1]
        to_come = shares_to_come(newest.share_bp, STEPS_BP, WEEKS - newest.number)
        planned.append(planned_information(everybody, effect, to_come, cuped=True))
    return bool(effects) and Looks(tuple(effects), tuple(planned), is_last=ended).crossed()


def _rival(world: World) -> tuple[bool, bool]:
    """Returns whether the rival stops before 25 %, and at all."""
    for effect, share in zip(world.effects(STEPS_BP, cuped=False), STEPS_BP, strict=True):
        if isinstance(effect, Effect) and effect.difference.value < -1.96 * effect.difference.se:
            return share < 2_500, True
    return False, False
