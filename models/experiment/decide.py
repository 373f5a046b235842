"""What weekly looks say: metrics that won or lost (Holm), guardrails that are broken, intervals that hold at any look.

Wins: two-sided bounds, error spent by information, O'Brien–Fleming-like, so that the last look's interval is hardly
wider than a single one's. Guardrails: one-sided against a margin; harm must be seen early, so that each look spends a
fixed part of what is left, and no number of looks spends all.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from scipy.special import ndtr, ndtri

from models.experiment.effects import Effect, Interval, NoEffect, looks_of
from models.experiment.estimates import covariance_of
from models.experiment.moments import Floats
from models.experiment.sequential import Bounds, Spending, bounds, obrien_fleming

ALPHA = 0.05
"""Error of the wins of an experiment, over all metrics and looks."""
HARM_ALPHA = 0.025
"""Probability that a harmless treatment breaks any guardrail at any look."""
_SPENT_PER_LOOK = 0.15
SUSPICION = 0.1
"""One-sided p below which harm beyond a margin is suspected: no proof, but no reason to raise the share."""


@dataclass(frozen=True)
class Looks:
    """Effects of one metric over growing numbers of weeks, the newest last, and the information planned for the end."""

    effects: tuple[Effect, ...]
    planned: float
    """1 ÷ variance that the difference will have at the last look."""
    is_last: bool = False
    """Whether no look will follow; it spends what is left."""

    def bounds(self, alpha: float = ALPHA, spending: Spending = obrien_fleming) -> Bounds:
        """Returns the bounds of all looks until now."""
        information, correlation = looks_of(self.effects)
        fractions = [min(1.0, some / self.planned) for some in information]
        if self.is_last:
            fractions[-1] = 1.0
        return bounds(fractions, alpha, spending, correlation=correlation)

    def crossed(self, alpha: float = ALPHA) -> bool:
        """Returns whether a difference of this or an earlier look crossed its bound."""
        z_values = (effect.difference.value / effect.difference.se for effect in self.effects)
        return any(abs(z) >= bound for z, bound in zip(z_values, self.bounds(alpha).z, strict=True))

    def interval(self, alpha: float = ALPHA) -> Interval:
        """Returns the repeated confidence interval of the difference: those of all looks hold the truth together."""
        effect, z = self._newest(alpha)
        return effect.interval(z)

    def lift_interval(self, alpha: float = ALPHA) -> Interval | None:
        """Returns that of the lift."""
        effect, z = self._newest(alpha)
        return effect.lift_interval(z) if math.isfinite(z) else None

    def _newest(self, alpha: float) -> tuple[Effect, float]:
        """Returns the newest look that may spend something, and its bound."""
        looks = list(zip(self.effects, self.bounds(alpha).z, strict=True))
        return next((look for look in reversed(looks) if math.isfinite(look[1])), looks[-1])


def decided(looks: Mapping[str, Looks], alpha: float = ALPHA) -> frozenset[str]:
    """Returns the metrics with an effect: Holm's procedure on sequential tests.

    Any that crosses its bounds at α ÷ (number of undecided metrics) is decided and leaves its error to the others.
    """
    open_ones, found = set(looks), set[str]()
    while open_ones:
        crossing = {name for name in open_ones if looks[name].crossed(alpha / len(open_ones))}
        if not crossing:
            break
        found |= crossing
        open_ones -= crossing
    return frozenset(found)


@dataclass(frozen=True)
class Guardrail:
    """A metric that may be worse by `margin` at most, e.g. .01 for 1 %."""

    metric: str
    margin: float
    better: Literal["more", "less"] = "more"

    @property
    def limit(self) -> float:
        """The lift at the margin."""
        return -self.margin if self.better == "more" else self.margin


@dataclass(frozen=True)
class Harm:
    """What a guardrail says about all looks until now."""

    guardrail: Guardrail
    state: Literal["broken", "suspected", "held", "unknown"]
    said: str
    """For people: numbers, or why there are none."""


def harm_of(guardrail: Guardrail, effects: Sequence[Effect | NoEffect], alpha: float) -> Harm:
    """Returns whether the metric is worse than its margin, by the effects at each look, the newest last.

    `alpha` is this guardrail's part of HARM_ALPHA. Once broken it stays so.
    """
    newest = effects[-1] if effects else NoEffect("no week yet")
    if isinstance(newest, NoEffect):
        return Harm(guardrail, "unknown", f"{guardrail.metric}: {newest}")
    z_values, correlation = _against_margin(guardrail, [some for some in effects if isinstance(some, Effect)])
    limits = bounds(range(1, len(z_values) + 1), alpha, _geometric, sides=1, correlation=correlation).z
    numbers = f"{guardrail.metric} {_percent(newest.lift)}, margin {_percent(guardrail.limit)}"
    if any(z >= limit for z, limit in zip(z_values, limits, strict=True)):
        return Harm(guardrail, "broken", f"{numbers}: worse than the margin (z {max(z_values):.1f})")
    if z_values[-1] >= -float(ndtri(SUSPICION)):
        return Harm(guardrail, "suspected", f"{numbers}: may be worse than the margin (p {ndtr(-z_values[-1]):.2f})")
    return Harm(guardrail, "held", numbers)


def _against_margin(guardrail: Guardrail, effects: Sequence[Effect]) -> tuple[list[float], Floats]:
    """Returns by how many standard errors each look is worse than the margin, and the looks' correlation."""
    sign = -1.0 if guardrail.better == "more" else 1.0
    excess = [effect.against(guardrail.limit) * sign for effect in effects]
    covariance = covariance_of(excess)
    scale = covariance.diagonal() ** -0.5
    return [some.value * float(by) for some, by in zip(excess, scale, strict=True)], covariance * scale[:, None] * scale


def _geometric(look: float, alpha: float) -> float:
    """Returns what may be spent by a look, counted from 1."""
    return alpha * float(1 - (1 - _SPENT_PER_LOOK) ** look)


def _percent(lift: float | None) -> str:
    return "unknown" if lift is None else f"{100 * lift:+.1f} %"
