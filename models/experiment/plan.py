"""How long and how large: what an experiment can detect by weeks and shares, from sums of the past.

The past says how much users differ, and how alike a user's weeks are. An experiment that has not begun is then the one
whose sums are as expected: the same code that will judge it gives its variance for any shares and number of weeks.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from models.experiment.decide import ALPHA
from models.experiment.effects import FEWEST_USERS, Effect, NoEffect, Week, effect_of, looks_of
from models.experiment.estimates import Sums, covariance_of
from models.experiment.moments import WHOLE_BP, Floats, Moments, Slice, slices_at, variables_of
from models.experiment.sequential import Bounds, Spending, bounds, crossing, obrien_fleming

POWER = 0.8
ASSUMED_CORRELATION = 0.5
"""How alike two weeks of a user are taken to be while one week is known."""
_FARTHEST = 30.0
"""Standard errors of the last look within which a detectable effect is looked for."""


@dataclass(frozen=True)
class Past:
    """A metric in weeks that are over, without an experiment."""

    users: int
    """Of the audience before a week, mean over the weeks."""
    mean: float
    """Per user, or the ratio."""
    deviation: float
    """Standard deviation of a user's week; of a ratio, that of its influence."""
    correlation: float
    """Mean correlation of two weeks of the same user; 0 if there is one week only."""


@dataclass(frozen=True)
class Detectable:
    """What an experiment of so many weeks detects, if it is looked at each week."""

    weeks: int
    information: float
    """1 ÷ variance of the difference."""
    difference: float
    """Smallest true difference that is found with the asked power by the last week."""
    lift: float | None
    """The same ÷ the mean; None: the mean is not above 0."""


def past_of(moments: Moments, weeks: Sequence[int], *, ratio: bool = False) -> Past | NoEffect:
    """Returns what sums over the whole audience say about these weeks."""
    sums = Sums.of({Slice(0, WHOLE_BP): moments})
    everybody = np.ones(1, np.bool_)
    users = [sums.sum(f"a{week}", everybody) for week in weeks]
    if not weeks or min(users) < FEWEST_USERS:
        return NoEffect(
            f"too few users: {min(users, default=0):,.0f} in a past week, at least {FEWEST_USERS:,} are needed"
        )
    below = "y" if ratio else "a"
    if not all(sums.sum(f"{below}{week}", everybody) for week in weeks):
        return NoEffect("nothing to divide by in a past week")
    means = [sums.quotient(f"x{week}", f"{below}{week}", everybody) for week in weeks]
    covariance = covariance_of(means)
    variances = covariance.diagonal()
    if min(variances) <= 0:
        return NoEffect("constant: all users have the same value, nothing can be learnt from it")
    alike = covariance / np.sqrt(np.outer(variances, variances))
    pairs = alike[np.triu_indices(len(weeks), 1)]
    return Past(
        users=round(float(np.mean(users))),
        mean=float(np.mean([some.value for some in means])),
        deviation=float(np.sqrt(np.mean(variances * np.array(users)))),
        correlation=float(np.clip(pairs.mean(), 0.0, 0.999)) if len(pairs) else 0.0,
    )


def past_of_groups(totals: Floats, users: int) -> Past | NoEffect:
    """Returns what weekly totals (weeks × groups of users by a hash) say about the weeks of so many users in all.

    Whoever has no total counts as 0. With 128 groups, deviations are known to some 6 %.
    """
    groups = totals.shape[1]
    per_group = users / groups
    if users < FEWEST_USERS or not totals.size:
        return NoEffect(f"too few users: {users:,} of {len(totals)} past weeks, at least {FEWEST_USERS:,} are needed")
    means = totals.sum(axis=1) / users
    covariance = np.atleast_2d(np.cov(totals)) / per_group - np.outer(means, means)  # the groups' sizes vary, too
    variances = covariance.diagonal()
    if min(variances) <= 0:
        return NoEffect("nearly constant: the groups of users differ too little to tell how much users do")
    pairs = (covariance / np.sqrt(np.outer(variances, variances)))[np.triu_indices(len(totals), 1)]
    return Past(
        users=users,
        mean=float(means.mean()),
        deviation=float(np.sqrt(variances.mean())),
        correlation=float(np.clip(pairs.mean(), 0.0, 0.999)) if len(pairs) else 0.0,
    )


def expected_looks(past: Past, shares_bp: Sequence[int], *, cuped: bool = False) -> list[Effect] | NoEffect:
    """Returns the effects that looks after each week would see if nothing happened: their variances are the plan."""
    sums, weeks = _expected_sums(past, shares_bp)
    looks = [effect_of(sums, weeks[: last + 1], cuped=cuped) for last in range(len(weeks))]
    fault = next((look for look in looks if isinstance(look, NoEffect)), None)
    return fault or [look for look in looks if isinstance(look, Effect)]


def planned_information(
    everybody: Moments, now: Effect, to_come: Sequence[int], *, ratio: bool = False, cuped: bool = False
) -> float:
    """Returns 1 ÷ variance that the difference will have after weeks of these shares, by what is known now.

    It grows by as much as that of users as alike as until now would. Only weeks of `now` are looked at in `everybody`,
    the sums over the whole hash, so that a look is planned alike whatever came after it.
    """
    information = 1 / now.difference.variance
    if not to_come:
        return information
    past = past_of(everybody, [week.number for week in now.weeks], ratio=ratio)
    if isinstance(past, Past):
        past = past if len(now.weeks) > 1 else dataclasses.replace(past, correlation=ASSUMED_CORRELATION)
        shares = [*(week.share_bp for week in now.weeks), *to_come]
        sums, weeks = _expected_sums(past, shares)
        then, end = (effect_of(sums, weeks[:last], cuped=cuped) for last in (len(now.weeks), len(weeks)))
        if isinstance(then, Effect) and isinstance(end, Effect):
            return information * max(1.0, then.difference.variance / end.difference.variance)
    return information * (1 + len(to_come) / len(now.weeks))


def detectable(
    past: Past,
    shares_bp: Sequence[int],
    *,
    cuped: bool = False,
    alpha: float = ALPHA,
    power: float = POWER,
    spending: Spending = obrien_fleming,
) -> list[Detectable] | NoEffect:
    """Returns, for each number of weeks up to that of the shares, what an experiment that ends then detects."""
    looks = expected_looks(past, shares_bp, cuped=cuped)
    if isinstance(looks, NoEffect):
        return looks
    found = []
    for weeks in range(1, len(looks) + 1):
        information, correlation = looks_of(looks[:weeks])
        limits = bounds(
            [min(1.0, some / information[-1]) for some in information[:-1]] + [1.0],
            alpha,
            spending,
            correlation=correlation,
        )
        smallest = _smallest(limits, np.sqrt(information), correlation, power)
        lift = smallest / past.mean if past.mean > 0 else None
        found.append(Detectable(weeks, information[-1], smallest, lift))
    return found


def _smallest(limits: Bounds, roots: Floats, correlation: Floats, power: float) -> float:
    """Returns the difference that crosses the upper bounds with a probability of `power`."""

    def missing(difference: float) -> float:
        return float(crossing(limits, list(difference * roots), correlation)[-1]) - power

    return float(brentq(missing, 0.0, _FARTHEST / roots[-1], xtol=1e-6 / roots[-1]))


def _expected_sums(past: Past, shares_bp: Sequence[int]) -> tuple[dict[Slice, Moments], list[Week]]:
    """Returns the sums of each slice, and the weeks."""
    sums = {part: _expected(past, part, len(shares_bp)) for part in slices_at(shares_bp)}
    return sums, [Week(number, share) for number, share in enumerate(shares_bp, 1)]


def _expected(past: Past, part: Slice, weeks: int) -> Moments:
    """Returns the sums of a slice whose users are as the past expects."""
    variables = variables_of(weeks, ratio=False)
    users = max(1, round(past.users * part.width_bp / WHOLE_BP))
    is_figure = np.array([name[0] == "x" for name in variables])
    mean = np.where(is_figure, past.mean, 1.0)
    alike = past.correlation + (1 - past.correlation) * np.eye(len(variables))
    covariance = past.deviation**2 * alike * np.outer(is_figure, is_figure)
    return Moments(variables, users, users * mean, users * np.outer(mean, mean) + (users - 1) * covariance)
