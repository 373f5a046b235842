"""95 % intervals of what users did: the unit is the user, not the hit.

A user's hits are not independent: who likes lists clicks often, and comes back the next day. So users are put into
groups by a hash, once and for all, and sums are kept per group. Groups are independent whatever users do within them,
and the sums of days add up, which squares per day do not. docs/outcomes.md has the formulas.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

_LEVEL = 0.95

Sums = NDArray[np.float64]
"""Sums per group of users (groups,)."""


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95 % interval; both ends None: too few users to tell."""

    value: float
    low: float | None
    high: float | None

    @classmethod
    def of(cls, value: float, residuals: Sums, groups: int) -> Self:
        """Returns value ± t · s; residuals: what each group adds to the estimate's error; groups: those with users."""
        if groups < 2:
            return cls(value, None, None)
        from scipy.special import stdtrit  # here: a command that shows no interval need not wait for it

        variance = groups / (groups - 1) * float(np.square(residuals).sum())
        half = float(stdtrit(groups - 1, (1 + _LEVEL) / 2)) * variance**0.5
        return cls(value, value - half, value + half)

    def covers(self, value: float) -> bool:
        """Returns whether a value lies within."""
        return self.low is not None and self.high is not None and self.low <= value <= self.high


def rate_interval(hits: ArrayLike, per: ArrayLike) -> Interval | None:
    """Returns Σ hits ÷ Σ per by sums per group; None: there is nothing to divide by."""
    counted, divisor = np.asarray(hits, np.float64), np.asarray(per, np.float64)
    total = divisor.sum()
    if not total:
        return None
    rate = float(counted.sum() / total)
    return Interval.of(rate, (counted - rate * divisor) / total, int((divisor > 0).sum()))


@dataclass(frozen=True, eq=False)
class Pair:
    """What the users of one run and day did, in both arms, per group of users."""

    hits: Sums
    users: Sums
    shadow_hits: Sums
    shadow_users: Sums


@dataclass(frozen=True)
class Incremental:
    """Hits per user and day: with lists, without having got these, and the difference, which the lists made."""

    difference: Interval
    treatment: float
    shadow: float
    """Hits on shadow lists, as many days of each run as in the treatment."""
    user_days: int
    shadow_user_days: int

    @property
    def hits(self) -> float:
        """Hits of the treatment that would not have been without lists."""
        return self.difference.value * self.user_days


def incremental(pairs: list[Pair]) -> Incremental | None:
    """Returns the difference between arms, run by run and day by day; None: nothing can be compared.

    Each day of a run weighs as much as it has users of the treatment, so that a share that changes between days favours
    neither arm. One group's errors in both arms are taken together: a user may have moved from one to the other.
    """
    comparable = [pair for pair in pairs if pair.users.sum() > 0 and pair.shadow_users.sum() > 0]
    if not comparable:
        return None
    user_days = sum(float(pair.users.sum()) for pair in comparable)
    rates, errors = np.zeros(2), np.zeros_like(comparable[0].users)
    for pair in comparable:
        weight = float(pair.users.sum()) / user_days
        arms = ((pair.hits, pair.users, 1), (pair.shadow_hits, pair.shadow_users, -1))
        for place, (hits, users, sign) in enumerate(arms):
            rate = float(hits.sum() / users.sum())
            rates[place] += weight * rate
            errors += sign * weight * (hits - rate * users) / users.sum()
    occupied = [np.sum([getattr(pair, name) for pair in comparable], axis=0) for name in ("users", "shadow_users")]
    groups = min(int((users > 0).sum()) for users in occupied)
    difference = Interval.of(float(rates[0] - rates[1]), errors, groups)
    return Incremental(difference, float(rates[0]), float(rates[1]), int(user_days), int(occupied[1].sum()))
