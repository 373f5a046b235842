"""How many events and users the new days of a dataset have, beside what is usual on their weekdays."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from expectations.input_profile import DayProfile, DaysProfile

WEEK = 7
_USUAL = 3
"""Days of the same weekday that say what is usual: more of them would lag behind the season, fewer are noisy."""
_LEAST_DAYS = 5
"""New days that must have an older one to compare with: a week of holidays tells nothing."""
_LEAST_COUNT = 100
"""Events or users that are usual on these days together, at least: fewer vary by chance."""


@dataclass(frozen=True)
class Comparison:
    """A week of new days of one dataset, by one statistic."""

    what: str
    """`events` or `users`."""
    ratio: float
    """Found ÷ usual, the median of the days."""
    days: int
    """Days that were compared."""
    day: dt.date
    """The newest of those whose own ratio is nearest to it, for people."""
    usual: float
    found: int
    """Of that day."""


def compare_new_days(profile: DaysProfile, served: dt.date, as_of: dt.date) -> list[Comparison] | str:
    """Returns one comparison per week of new days and statistic, or why there is none.

    New are the days that the run as of `served` did not read, a week of them at least. Each week is compared by itself,
    so that good days do not hide bad ones, and only with days before all of them: what no run has served is not usual.
    """
    since = profile.end - dt.timedelta(days=max(WEEK, (as_of - served).days))
    older = [day for day in profile.days if day.day < since]
    start = max(since, profile.start)
    new = [day for day in profile.days if start <= day.day < profile.end]
    found = [
        comparison
        for week in _weeks(new, start, profile.end)
        for what in ("events", "users")
        if (comparison := _compare(what, week, older)) is not None
    ]
    alike = sum(_usual("events", day.day, older) is not None for day in new)
    return found or (
        f"{len(new)} new days, {alike} of them with an older one of their weekday, compared from {_LEAST_DAYS} "
        f"such days and {_LEAST_COUNT} events"
    )


def _weeks(days: Sequence[DayProfile], start: dt.date, end: dt.date) -> Iterator[list[DayProfile]]:
    """Whole weeks back from `end`; what is left over belongs to the oldest of them."""
    weeks = max(1, (end - start).days // WEEK)
    for number in range(weeks):
        yield [day for day in days if min((end - day.day).days - 1, weeks * WEEK - 1) // WEEK == number]


def _compare(what: str, new: Sequence[DayProfile], older: Sequence[DayProfile]) -> Comparison | None:
    counts = {day.day: _count(what, day) for day in new}
    usual = {day: known for day in counts if (known := _usual(what, day, older))}  # of nothing there is no ratio
    if len(usual) < _LEAST_DAYS or sum(usual.values()) < _LEAST_COUNT:
        return None
    ratios = {day: counts[day] / usual[day] for day in usual}
    ratio = median(ratios.values())
    day = max(ratios, key=lambda day: (-abs(ratios[day] - ratio), day))
    return Comparison(what, ratio, len(ratios), day, usual[day], counts[day])


def _usual(what: str, day: dt.date, older: Sequence[DayProfile]) -> float | None:
    """Returns the median of the last days of that weekday; None without any."""
    alike = [_count(what, one) for one in older if one.day.weekday() == day.weekday()]
    return median(alike[-_USUAL:]) if alike else None


def _count(what: str, day: DayProfile) -> int:
    return day.events if what == "events" else day.users
