"""What weekly looks say: metrics that won or lost (Holm), guardrails that are broken, intervals that hold at any look.

Wins: two-sided bounds, error spent by information, O'Brien–Fleming-like, so that the last look's interval is hardly
wider than a single one's. Guardrails: one-sided e-values against a margin. A ramp chooses the next week's share by what
it has seen, and an operator for any reason; bounds that are spent look by look would break their promise then (they
stopped 4.0 % of ramps at the margin, not 2.5 %), while a likelihood ratio of each week given those before keeps it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtr

from models.experiment.effects import Effect, Interval, NoEffect, Week, effect_of, looks_of
from models.experiment.estimates import Estimate, covariance_of
from models.experiment.moments import Moments, Slice
from models.experiment.sequential import Bounds, Spending, bounds, obrien_fleming

ALPHA = 0.05
"""Error of the wins of an experiment, over all metrics and looks."""
HARM_ALPHA = 0.025
"""Probability that a harmless treatment breaks any guardrail at any look."""
_PLAUSIBLE_HARM = 0.03
"""Scale of harm beyond the margin that guardrails look for, as a part of the control's mean."""
SPENT = 0.97
"""Part of the error that is spent; the rest pays for what is not quite normal, and for variances being estimates."""
SUSPICION = 0.1
"""One-sided p below which harm beyond a margin is suspected: no proof, but no reason to raise the share."""


@dataclass(frozen=True)
class Looks:
    """Effects of one metric over growing numbers of weeks, the newest last, and the information planned for the end."""

    effects: tuple[Effect, ...]
    planned: tuple[float, ...]
    """For each of them, 1 ÷ variance that the difference would have at the last look by what was known then.

    It must not be estimated anew for earlier looks: bounds that move with every week are crossed by up to 8 % of
    experiments without an effect, since each of them is read in its week.
    """
    is_last: bool = False
    """Whether no look will follow; it spends what is left."""

    def bounds(self, alpha: float = ALPHA, spending: Spending = obrien_fleming) -> Bounds:
        """Returns the bounds of all looks until now."""
        information, correlation = looks_of(self.effects)
        fractions = [min(1.0, some / planned) for some, planned in zip(information, self.planned, strict=True)]
        if self.is_last:
            fractions[-1] = 1.0
        return bounds(fractions, alpha * SPENT, spending, correlation=correlation)

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


def harm_of(
    guardrail: Guardrail,
    moments: Mapping[Slice, Moments],
    weeks: Sequence[Week],
    *,
    alpha: float = HARM_ALPHA,
    ratio: bool = False,
    cuped: bool = False,
) -> Harm:
    """Returns whether the metric is worse than its margin after these weeks, or was so after an earlier one.

    `alpha` is this guardrail's part of HARM_ALPHA. It holds whatever the shares of the weeks were decided by.
    """
    whole = effect_of(moments, weeks, ratio=ratio, cuped=cuped)
    if isinstance(whole, NoEffect):
        return Harm(guardrail, "unknown", f"{guardrail.metric}: {whole}")
    excess = [
        _excess(guardrail, effect)
        for effect in (effect_of(moments, [week], ratio=ratio, cuped=cuped) for week in whole.weeks)
        if isinstance(effect, Effect)
    ]
    numbers = f"{guardrail.metric} {_percent(whole.lift)}, margin {_percent(guardrail.limit)}"
    most = max(_e_values(excess, _PLAUSIBLE_HARM * abs(whole.control.value)), default=1.0)
    if most >= 1 / alpha:
        return Harm(guardrail, "broken", f"{numbers}: worse than the margin (e-value {most:,.0f})")
    p = float(ndtr(-_excess(guardrail, whole).value / _excess(guardrail, whole).se))
    if p <= SUSPICION:
        return Harm(guardrail, "suspected", f"{numbers}: may be worse than the margin (p {p:.2f})")
    return Harm(guardrail, "held", numbers)


def _excess(guardrail: Guardrail, effect: Effect) -> Estimate:
    """Returns by how much the treated are worse than the margin allows; its mean is 0 at the margin."""
    return effect.against(guardrail.limit) * (-1.0 if guardrail.better == "more" else 1.0)


def _e_values(excess: Sequence[Estimate], scale: float) -> list[float]:
    """Returns the mean likelihood ratio of harm beyond the margin after each week, against none.

    Harm is half-normal with this scale. Weeks are weighed by the inverse of their covariance, whatever decided it.
    """
    covariance = covariance_of(excess)
    found = []
    for weeks in range(1, len(excess) + 1):
        weight = np.linalg.lstsq(covariance[:weeks, :weeks], np.ones(weeks), rcond=1e-9)[0]
        score = float(weight @ [some.value for some in excess[:weeks]])
        room = 1 + scale**2 * float(weight.sum())
        exponent = min((score * scale) ** 2 / (2 * room), 700.0)
        found.append(2 / math.sqrt(room) * math.exp(exponent) * float(ndtr(score * scale / math.sqrt(room))))
    return found


def _percent(lift: float | None) -> str:
    return "unknown" if lift is None else f"{100 * lift:+.1f} %"
