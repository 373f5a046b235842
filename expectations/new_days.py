"""Compares events and users of a dataset's new days with what is usual on the same weekdays."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from conf.base import Strict

WEEK = 7
_USUAL = 3
"""Latest days of the same weekday whose median is usual: more of them would lag behind the season, fewer are noisy."""
_LEAST_DAYS = 5
"""Fewest new days with an older one to compare with: a week of holidays says nothing."""
_LEAST_COUNT = 100
"""Fewest events or users that are usual on these days together; smaller numbers vary by chance."""


class DayProfile(Strict):
    """One day of an event dataset, without ignored events, unusable rows and users erased by then."""

    day: dt.date
    events: int
    """Exact number of events."""
    users: int
    """Distinct users, within 2 %."""


class DaysProfile(Strict):
    """Days of one event dataset: those that the run reads, and older ones that earlier runs read."""

    start: dt.date
    """First day of the run's window."""
    end: dt.date
    """Day after the last of the window."""
    days: tuple[DayProfile, ...]
    """Oldest first; days without a partition are left out."""


@dataclass(frozen=True)
class NewWeek:
    """One week of new days of one dataset, compared by one statistic."""

    what: str
    """`events` or `users`."""
    ratio: float
    """Found ÷ usual: the median of the days' ratios."""
    days: int
    """Number of days that were compared."""
    day: dt.date
    """An example for reports: the newest day whose own ratio is nearest to `ratio`."""
    usual: float
    found: int
    """Number found on that day."""


def compare_new_days(profile: DaysProfile, served: dt.date, as_of: dt.date) -> list[NewWeek] | str:
    """Returns one comparison per week of new days and statistic, or why there is none.

    New are the days that the run as of `served` did not read, at least a week. Each week is compared by itself, so that
    good days do not hide bad ones, and only with days before all new ones: what no run has served is not usual.
    """
    since = profile.end - dt.timedelta(days=max(WEEK, (as_of - served).days))
    older = [day for day in profile.days if day.day < since]
    start = max(since, profile.start)
    new = [day for day in profile.days if start <= day.day < profile.end]
    found = [
        compared
        for week in _weeks(new, start, profile.end)
        for what in ("events", "users")
        if (compared := _compare(what, week, older)) is not None
    ]
    alike = sum(_usual("events", day.day, older) is not None for day in new)
    return found or (
        f"{len(new)} new days, {alike} of them with an older one of their weekday, compared from {_LEAST_DAYS} "
        f"such days and {_LEAST_COUNT} events"
    )


def _weeks(days: Sequence[DayProfile], start: dt.date, end: dt.date) -> Iterator[list[DayProfile]]:
    """Yields whole weeks back from `end`; remaining days belong to the oldest week."""
    weeks = max(1, (end - start).days // WEEK)
    for number in range(weeks):
        yield [day for day in days if min((end - day.day).days - 1, weeks * WEEK - 1) // WEEK == number]


def _compare(what: str, new: Sequence[DayProfile], older: Sequence[DayProfile]) -> NewWeek | None:
    counts = {day.day: _count(what, day) for day in new}
    usual = {day: known for day in counts if (known := _usual(what, day, older))}  # a usual number of 0 has no ratio
    if len(usual) < _LEAST_DAYS or sum(usual.values()) < _LEAST_COUNT:
        return None
    ratios = {day: counts[day] / usual[day] for day in usual}
    ratio = median(ratios.values())
    day = max(ratios, key=lambda day: (-abs(ratios[day] - ratio), day))
    return NewWeek(what, ratio, len(ratios), day, usual[day], counts[day])


def _usual(what: str, day: dt.date, older: Sequence[DayProfile]) -> float | None:
    """Returns the median of the latest days of that weekday; None if there are none."""
    alike = [_count(what, one) for one in older if one.day.weekday() == day.weekday()]
    return median(alike[-_USUAL:]) if alike else None


def _count(what: str, day: DayProfile) -> int:
    return day.events if what == "events" else day.users
