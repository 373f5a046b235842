"""Generated histories: one dataset whose weeks vary, with what a test does to its newest days."""

import datetime as dt
from collections.abc import Callable, Sequence

import numpy as np

from expectations.drift.history import History, Measured, to_table
from expectations.drift.judge import Judged

FIRST = dt.date(2026, 1, 5)
"""A Monday."""
WEEKS = 30
AS_OF = FIRST + dt.timedelta(weeks=WEEKS)
_WEEKDAY = (0.90, 0.88, 0.88, 0.92, 1.05, 1.25, 1.20)


def ago(*days: int) -> tuple[dt.date, ...]:
    """Returns the days so many days before AS_OF, oldest first."""
    return tuple(sorted(AS_OF - dt.timedelta(days=day) for day in days))


NEW = ago(*range(1, 8))


def days(
    change: Callable[[dt.date], float] = lambda day: 1.0, *, noise: float = 0.08, weeks: int = WEEKS, seed: int = 1
) -> list[Measured]:
    """Returns the number of events of `clicks` on each day until AS_OF, times `change`."""
    rng = np.random.default_rng(seed)
    factor = np.exp(noise * rng.standard_normal(weeks))
    found = []
    for number in range(weeks * 7):
        day = AS_OF - dt.timedelta(days=weeks * 7 - number)
        value = 10_000 * factor[number // 7] * _WEEKDAY[day.weekday()] * np.exp(0.02 * rng.standard_normal())
        found.append(Measured("events", "clicks", "events", day, value * change(day), value, f"of {day}"))
    return found


def runs(values: Sequence[float], *, made_of: Sequence[str] | None = None, name: str = "gini") -> list[Measured]:
    """Returns a number of lists per weekly run, the newest as of AS_OF."""
    made = made_of or ["same"] * len(values)
    at = [AS_OF - dt.timedelta(weeks=len(values) - 1 - i) for i in range(len(values))]
    return [
        Measured("lists", "lists", name, day, value, 1e4, by) for day, value, by in zip(at, values, made, strict=True)
    ]


def history(*measured: Sequence[Measured]) -> History:
    """Returns the history of all of them."""
    return History([to_table(some) for some in measured])


def case(new: Sequence[dt.date] = NEW, **other: object) -> Judged:
    """Returns a run as of AS_OF that reads four weeks of clicks, of which `new` are new."""
    read = ago(*range(1, 29))
    fields: dict[str, object] = {"false_alarms_per_year": 1.0, "runs_per_year": 52.0, "read_days": {"clicks": read}}
    return Judged(AS_OF, {"clicks": new}, **{**fields, **other})  # type: ignore[arg-type]
