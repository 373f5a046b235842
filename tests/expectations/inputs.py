"""Profiles of what comes in, by hand."""

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Any

from expectations.inputs import InputProfile, SnapshotProfile
from expectations.new_days import DayProfile, DaysProfile

AS_OF = dt.date(2026, 11, 16)
"""A Monday."""
WEEK_BEFORE = AS_OF - dt.timedelta(days=7)
_OF_THE_WEEK = (90, 88, 88, 92, 105, 125, 120)  # per cent of the usual, Monday to Sunday


def days_profile(
    ago: Iterable[int] = range(1, 17), change: Callable[[int], float] = lambda ago: 1.0, users: float = 0.4
) -> DaysProfile:
    """A window of ten days; those given have 1,000 events times `change` and their weekday's share; users per event."""
    days = []
    for number in sorted(ago, reverse=True):
        day = AS_OF - dt.timedelta(days=number)
        share = change(number) * _OF_THE_WEEK[day.weekday()] / 100
        days.append(DayProfile(day=day, events=round(1000 * share), users=round(1000 * users * share)))
    return DaysProfile(start=AS_OF - dt.timedelta(days=10), end=AS_OF, days=tuple(days))


def snapshot(rows: int, users: int | None = None, eligible: int | None = None) -> SnapshotProfile:
    """A snapshot of yesterday."""
    return SnapshotProfile(day=AS_OF - dt.timedelta(days=1), rows=rows, users=users, eligible=eligible)


def input_profile(events: dict[str, DaysProfile] | None = None, **snapshots: Any) -> InputProfile:
    """Sound inputs with every snapshot, with snapshots replaced; None: not in the settings."""
    sound = {
        "subscriptions": snapshot(12_000, 1_000),
        "sources": snapshot(3_000, eligible=2_800),
        "blocks": snapshot(600, 450),
        "audience": snapshot(20_000, 20_000),
    }
    there = {name: found for name, found in {**sound, **snapshots}.items() if found is not None}
    return InputProfile(snapshots=there, events={"clicks": days_profile()} if events is None else events)
