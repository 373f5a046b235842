"""Numbers, days and lists of names as the report writes them."""

import datetime as dt
from collections.abc import Sequence

from conf.base import format_bytes
from jobs.pages.report.drawings import Estimate
from models.pages import MISSING

_SHOWN = 12


def number(value: float | None) -> str:
    """Returns a whole number with its thousands, any other with four digits."""
    if value is None:
        return MISSING
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}"


def size(value: float | None) -> str:
    """Returns a size in bytes."""
    return MISSING if value is None else format_bytes(max(0, round(value)))


def seconds(value: float | None) -> str:
    """Returns a time as in 4.2 s, 3 min 20 s, 2 h 5 min."""
    if value is None:
        return MISSING
    if value < 60:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def percent(value: float | None) -> str:
    """Returns a share as in 42.5 %."""
    return MISSING if value is None else f"{100 * value:.3g} %" if abs(value) < 1e6 else f"{100 * value:.2e} %"


def change(before: float | None, now: float | None) -> str:
    """Returns by how much a number rose or fell."""
    if before is None or now is None or before <= 0:
        return ""
    if abs(now / before - 1) < 5e-4:
        return "same" if now == before else "±0.0 %"
    return f"{100 * (now / before - 1):+,.1f} %" if now / before < 1e6 else ""


def estimate(found: Estimate | None, sign: str = "") -> str:
    """Returns a mean as in 0.1234; with sign "+", its sign too."""
    return MISSING if found is None else f"{found.mean:{sign}.4f}"


def within(found: Estimate | None, sign: str = "") -> str:
    """Returns an interval as in 0.1200 to 0.1260."""
    if found is None or found.low is None or found.high is None:
        return ""
    return f"{found.low:{sign}.4f} to {found.high:{sign}.4f}"


def moment(value: dt.datetime | None) -> str:
    """Returns a time in UTC."""
    return MISSING if value is None else f"{value:%Y-%m-%d %H:%M:%S}Z"


def some(names: Sequence[object]) -> str:
    """Returns names in one line, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(str(name) for name in names[:_SHOWN]) + more


def day_range(days: Sequence[dt.date]) -> str:
    """Returns days in one line, stretches of them as their ends."""
    stretches: list[list[dt.date]] = []
    for day in sorted(set(days)):
        if stretches and (day - stretches[-1][-1]).days == 1:
            stretches[-1].append(day)
        else:
            stretches.append([day])
    return some([str(one[0]) if len(one) == 1 else f"{one[0]} to {one[-1]}" for one in stretches])


def plural(count: int, word: str) -> str:
    """Returns a count with its word, e.g. 2 days."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"
