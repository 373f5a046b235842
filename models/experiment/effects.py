"""What a treatment did: means or ratios of both arms, week by week and together, with intervals.

Unit are the users of the audience before each week, whether they came or not (intention to treat). Treated users of a
week are the slices below its share, so weeks of different share are compared each within itself and never pooled; a
mean over weeks has the weights a·b ÷ (a + b) of a treated and b other users, which do not depend on outcomes. The same
users come back: variances of several weeks are those of the users' own sums over them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.experiment.estimates import Estimate, Sums, covariance_of, weighted
from models.experiment.moments import WHOLE_BP, Floats, Moments, Slice

FEWEST_USERS = 500
"""Users of an arm below whom nothing is said: normal limits are no good there."""

_CARRIED_OVER = 3.29
"""Standard errors that week 0 may differ by."""


@dataclass(frozen=True, order=True)
class Week:
    """A week of the experiment, from 1, and the share that was treated in it."""

    number: int
    share_bp: int


@dataclass(frozen=True)
class NoEffect:
    """Why there is no number."""

    reason: str

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True)
class Interval:
    """From `low` to `high`."""

    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Effect:
    """Treated against others in some weeks. `treated` and `control` are weighted means over the weeks."""

    weeks: tuple[Week, ...]
    treated: Estimate
    """With CUPED: `control` plus the adjusted difference."""
    control: Estimate
    left_out: tuple[tuple[Week, str], ...] = ()
    """Weeks that could not be used, and why."""

    @property
    def difference(self) -> Estimate:
        """Treated less control."""
        return self.treated - self.control

    def interval(self, z: float) -> Interval:
        """Returns the interval of the difference that is `z` standard errors wide to each side."""
        half = z * self.difference.se
        return Interval(self.difference.value - half, self.difference.value + half)

    @property
    def lift(self) -> float | None:
        """Treated ÷ control − 1; None: control is not above 0."""
        return self.treated.value / self.control.value - 1 if self.control.value > 0 else None

    def lift_interval(self, z: float) -> Interval | None:
        """Returns Fieller's interval of the lift: what `against` does not refuse. None: control is too near 0."""
        treated, control = self.treated, self.control
        a = control.value**2 - z**2 * control.variance
        b = treated.value * control.value - z**2 * treated.covariance(control)
        c = treated.value**2 - z**2 * treated.variance
        if control.value <= 0 or a <= 0:
            return None
        root = math.sqrt(max(0.0, b**2 - a * c))
        return Interval((b - root) / a - 1, (b + root) / a - 1)

    def against(self, lift: float) -> Estimate:
        """Returns treated − (1 + lift) · control: 0 if the lift is the true one, and linear in the users' sums."""
        return self.treated - self.control * (1 + lift)


def effect_of(
    moments: Mapping[Slice, Moments],
    weeks: Sequence[Week],
    *,
    ratio: bool = False,
    cuped: bool = False,
    fewest: int = FEWEST_USERS,
) -> Effect | NoEffect:
    """Returns the effect over these weeks, or why there is none.

    Without `ratio` a mean per user of the audience (a proportion if users count 0 or 1), with it Σx ÷ Σy. `cuped`
    takes out what week 0 explains, for each week by its own factor; a covariate that explains nothing changes nothing.
    """
    sums = Sums.of(moments)
    used, left_out = _usable(sums, weeks, ratio=ratio, fewest=fewest)
    if not used:
        return NoEffect("; ".join(dict.fromkeys(reason for _, reason in left_out)) or "no week yet")
    arms = [_arms(sums, week, ratio=ratio, cuped=cuped) for week in used]
    weights = [_weight(sums, week) for week in used]
    treated, control = (weighted(side, weights) for side in zip(*arms, strict=True))
    effect = Effect(tuple(used), treated, control, tuple(left_out))
    scale = max(abs(treated.value), abs(control.value), 1e-300)
    if effect.difference.se <= 1e-12 * scale:
        return NoEffect("constant: all users have the same value, nothing can be learnt from it")
    return effect


def looks_of(effects: Sequence[Effect]) -> tuple[list[float], Floats]:
    """Returns information (1 ÷ variance) of each look's difference, and the correlation of their Z-values."""
    covariance = covariance_of([effect.difference for effect in effects])
    scale = covariance.diagonal() ** -0.5
    return [float(1 / variance) for variance in covariance.diagonal()], covariance * scale[:, None] * scale


def baseline_of(
    moments: Mapping[Slice, Moments], week: Week, *, ratio: bool = False, fewest: int = FEWEST_USERS
) -> Effect | NoEffect:
    """Returns the difference of a week's arms in week 0, before anybody was treated; only carry-over makes one."""
    return effect_of(moments, [Week(0, week.share_bp)], ratio=ratio, fewest=fewest)


def is_carried_over(before: Effect) -> bool:
    """Returns whether week 0 differs by more than chance (p < .001): an earlier experiment still works, or the salt."""
    return abs(before.difference.value) >= _CARRIED_OVER * before.difference.se


def _usable(
    sums: Sums, weeks: Sequence[Week], *, ratio: bool, fewest: int
) -> tuple[list[Week], list[tuple[Week, str]]]:
    """Returns the weeks in which both arms can be measured, and the others with a reason."""
    judged = [(week, _fault(sums, week, ratio=ratio, fewest=fewest)) for week in sorted(weeks)]
    return [week for week, fault in judged if fault is None], [(week, fault) for week, fault in judged if fault]


def _fault(sums: Sums, week: Week, *, ratio: bool, fewest: int) -> str | None:
    """Returns why a week cannot be used."""
    if week.share_bp in {0, WHOLE_BP}:
        return "share 0 %: nobody was treated" if week.share_bp == 0 else "share 100 %: nobody was left to compare with"
    treated = sums.treated(week.share_bp)
    for name, arm in (("treated", treated), ("control", ~treated)):
        users = sums.sum(f"a{week.number}", arm)
        if not users:
            return f"{name} arm: nobody of it was in the audience"
        if users < fewest:
            return f"too few users: {users:,.0f} in the {name} arm, at least {fewest:,} are needed"
        if ratio and not sums.sum(f"y{week.number}", arm):
            return f"{name} arm: nothing to divide by"
    return None


def _arms(sums: Sums, week: Week, *, ratio: bool, cuped: bool) -> tuple[Estimate, Estimate]:
    """Returns both arms' figures of a week; with `cuped` the difference is less by what week 0 explains."""
    treated = sums.treated(week.share_bp)
    above, below = f"x{week.number}", f"{'y' if ratio else 'a'}{week.number}"
    arms = sums.quotient(above, below, treated), sums.quotient(above, below, ~treated)
    if not cuped or _fault(sums, Week(0, week.share_bp), ratio=ratio, fewest=1):
        return arms
    before = sums.quotient("x0", below[0] + "0", treated) - sums.quotient("x0", below[0] + "0", ~treated)
    if before.variance <= 0:
        return arms
    theta = (arms[0] - arms[1]).covariance(before) / before.variance
    return arms[0] - before * theta, arms[1]


def _weight(sums: Sums, week: Week) -> float:
    """Returns the number of users that a week is worth."""
    treated = sums.treated(week.share_bp)
    a, b = (sums.sum(f"a{week.number}", arm) for arm in (treated, ~treated))
    return a * b / (a + b)
