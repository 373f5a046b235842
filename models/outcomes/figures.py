"""Rows of `contract.outcomes` added up over days: what may be added is, and every rate keeps its basis."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from conf.contract import HIT_WITHIN_SECONDS
from conf.shadow import SHADOW
from models.outcomes.basis import Basis, HitRate
from models.outcomes.intervals import Incremental, Interval, Pair, incremental, rate_interval

TREATMENT = "treatment"

_COUNTS = ("users", "answers", "places", "hits", "users_hit", "first_hit_ms", "events", "events_listed")
_LISTS = ("hits_at", "first_hits")
_GROUPS = ("group_users", "group_answers", "group_hits")


@dataclass(frozen=True)
class Figures:
    """Sums over days; None: not defined, or not known for one of the days."""

    basis: Basis
    by: str
    users: int
    """Σ of the users of each day: who came on two days counts twice."""
    answers: int
    places: int | None
    hits: int | None
    hits_at: tuple[int, ...] | None
    users_hit: int | None
    first_hit_ms: int | None
    first_hits: tuple[int, ...] | None
    events: int | None
    events_listed: int | None
    amount: float | None
    amount_listed: float | None
    new: int | None
    new_listed: int | None
    group_users: tuple[int, ...] | None
    """Users of each group of users by a hash, day by day; the next two likewise. None: not of all, or not kept."""
    group_answers: tuple[int, ...] | None
    group_hits: tuple[int, ...] | None

    @classmethod
    def sum(cls, rows: Iterable[Mapping[str, Any]]) -> Self:
        """Returns the sums of rows of one basis and kind, of which there is at least one."""
        rows = list(rows)
        sums: dict[str, Any] = {name: _sum(row[name] for row in rows) for name in _COUNTS}
        sums |= {name: _strict_sum(row[name] for row in rows) for name in ("new", "new_listed")}
        sums |= {name: _sum(row[name] for row in rows) for name in ("amount", "amount_listed")}
        sums |= {name: _sum_of_lists(row[name] for row in rows) for name in _LISTS}
        sums |= {name: _strict_sum_of_lists(row.get(name) for row in rows) for name in _GROUPS}
        return cls(basis=Basis(rows[0]["basis"]), by=rows[0]["by"], **sums)

    @property
    def rate(self) -> HitRate:
        """Hits per answer, or click-through rate; of a category per answer, too: those of all add up to the whole."""
        if self.basis is Basis.SHOWN and self.by == "category":
            return HitRate(self.basis, self.hits or 0, self.places or 0)
        return HitRate(self.basis, self.hits or 0, self.answers)

    @property
    def interval(self) -> Interval | None:
        """The rate with its 95 % interval, users being the unit; None: of parts of `all`, or by older code."""
        if self.group_hits is None or self.group_answers is None:
            return None
        return rate_interval(self.group_hits, self.group_answers)

    @property
    def new_share(self) -> float | None:
        """Share of the users' new engagements that were listed; None: there were none, or nobody knows."""
        return None if not self.new or self.new_listed is None else self.new_listed / self.new

    @property
    def mean_seconds(self) -> float | None:
        """Mean time from the answer to a user's first hit of a day; None: there was none."""
        return None if not self.users_hit else (self.first_hit_ms or 0) / 1000 / self.users_hit

    @property
    def median_below_seconds(self) -> int | None:
        """Upper end of the class that half of the first hits reach; None: there was none, or it has no end."""
        reached = 0
        for end, users in zip(HIT_WITHIN_SECONDS, self.first_hits or (), strict=False):
            reached += users
            if users and 2 * reached >= (self.users_hit or 0):
                return end
        return None


def _sum(values: Iterable[Any]) -> Any:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _strict_sum(values: Iterable[Any]) -> Any:
    every = list(values)
    return None if None in every else sum(every)


def _strict_sum_of_lists(values: Iterable[Any]) -> tuple[int, ...] | None:
    every = list(values)
    return None if None in every else _sum_of_lists(every)


def incremental_hits(rows: Iterable[Mapping[str, Any]]) -> Incremental | None:
    """Returns hits with lists, less hits on shadow lists, by rows of one basis `by` all; None: nothing to compare.

    Compares runs and days on which users of both arms were answered. Rows of older code have no groups of users.
    """
    arms: dict[str, dict[tuple[Any, ...], Mapping[str, Any]]] = {TREATMENT: {}, SHADOW: {}}
    for row in rows:
        if row["arm"] in arms and row["by"] == "all" and row.get("group_hits") is not None:
            arms[row["arm"]][row["day"], row["run"]] = row
    both = sorted(arms[TREATMENT].keys() & arms[SHADOW].keys())
    return incremental([_pair(arms[TREATMENT][one], arms[SHADOW][one]) for one in both])


def _pair(treatment: Mapping[str, Any], shadow: Mapping[str, Any]) -> Pair:
    sums = (row[name] for row in (treatment, shadow) for name in ("group_hits", "group_users"))
    return Pair(*(np.asarray(one, np.float64) for one in sums))


def _sum_of_lists(values: Iterable[Any]) -> tuple[int, ...] | None:
    known = [value for value in values if value is not None]
    if not known or len({len(value) for value in known}) > 1:  # other places k were asked for meanwhile
        return None
    return tuple(sum(some) for some in zip(*known, strict=True))
