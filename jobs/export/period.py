"""How long it takes at most from one run to the next, by the cron expression of a product's schedule."""

import calendar
import datetime as dt
import re
from itertools import pairwise

_MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FIRST = dt.date(2023, 1, 1)
_DAYS = 3 * 366
"""A leap year is among these days, whatever they begin with."""
_PART = re.compile(r"(\*|\w+)(?:-(\w+))?(?:/(\d+))?")
_MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name}
_WEEKDAYS = {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}


def period_of(schedule: str) -> float | None:
    """Returns the longest time between two starts in seconds; None for an expression that only Airflow understands."""
    fields = _MACROS.get(schedule.strip().lower(), schedule).lower().split()
    if len(fields) != 5:
        return None
    minutes, hours = _values(fields[0], 0, 59), _values(fields[1], 0, 23)
    days, months = _values(fields[2], 1, 31), _values(fields[3], 1, 12, _MONTHS)
    weekdays = _values(fields[4], 0, 7, _WEEKDAYS)
    if not (minutes and hours and days and months and weekdays):
        return None
    weekdays = {number % 7 for number in weekdays}
    either = "*" not in fields[2][:1] + fields[4][:1]  # cron: of both that are restricted, one is enough

    def starts(day: dt.date) -> bool:
        of_month, of_week = day.day in days, day.isoweekday() % 7 in weekdays
        return day.month in months and (of_month or of_week if either else of_month and of_week)

    every = [day for day in (_FIRST + dt.timedelta(days=i) for i in range(_DAYS)) if starts(day)]
    times = sorted(hour * 3_600 + minute * 60 for hour in hours for minute in minutes)
    within = [later - earlier for earlier, later in pairwise(times)]
    between = [(later - earlier).days * 86_400 + times[0] - times[-1] for earlier, later in pairwise(every)]
    return float(max([*within, *between])) if between else None


def _values(field: str, low: int, high: int, names: dict[str, int] | None = None) -> set[int]:
    """Returns the values that a field of a cron expression names; none if it cannot be read."""
    found: set[int] = set()
    for part in field.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            return set()
        first, last = match[1], match[2]
        start = low if first == "*" else _number(first, names)
        end = high if first == "*" or (match[3] and not last) else _number(last or first, names)
        if start is None or end is None or not low <= start <= end <= high:
            return set()
        found |= set(range(start, end + 1, max(1, int(match[3] or 1))))
    return found


def _number(text: str, names: dict[str, int] | None) -> int | None:
    return int(text) if text.isdigit() else (names or {}).get(text)
