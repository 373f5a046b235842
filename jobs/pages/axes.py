"""Axes of the drawings here: places on them, round values, dates, and lines as paths of an SVG."""

import datetime as dt
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import escape

_TICKS = 4
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
XY = tuple[float, float]


Place = dt.date | int
"""What the lower axis is of: days, or numbers."""


@dataclass(frozen=True)
class Axes:
    """From days, or numbers, and values to places in a drawing."""

    ends: tuple[Place, Place]
    values: XY
    size: tuple[int, int]
    margins: tuple[int, int, int, int]
    log: bool = False

    def x(self, place: float | dt.date) -> float:
        """Returns the distance from the left."""
        left, _, right, _ = self.margins
        first, last = (_number(end) for end in self.ends)
        part = (_number(place) - first) / (last - first) if last > first else 0.5
        return left + part * (self.size[0] - left - right)

    def y(self, value: float) -> float:
        """Returns the distance from the top."""
        _, top, _, bottom = self.margins
        low, high = (self._scaled(end) for end in self.values)
        part = (self._scaled(value) - low) / ((high - low) or 1.0)
        return top + (1 - min(max(part, 0.0), 1.0)) * (self.size[1] - top - bottom)

    def _scaled(self, value: float) -> float:
        return math.log(max(value, 1e-12)) if self.log else value


def _number(place: float | dt.date) -> float:
    return place.toordinal() if isinstance(place, dt.date) else place


def grid(axes: Axes, text: Callable[[float], str], gap: int = 5) -> Iterator[str]:
    """Yields a line at each of `ticks`, and its text so far left of it."""
    left, _, right, _ = axes.margins
    for tick in ticks(axes):
        y = px(axes.y(tick))
        yield f'<path class="g" d="M{left} {y}H{axes.size[0] - right}"/>'
        yield f'<text class="t" x="{left - gap}" y="{y}" dy="3.5" text-anchor="end">{escape(text(tick))}</text>'


def dates(axes: Axes) -> Iterator[str]:
    """Yields what stands below an axis of days: the first, the last, and one between them."""
    first, last = axes.ends
    assert isinstance(first, dt.date)
    assert isinstance(last, dt.date)
    if first == last:
        at, text = px(axes.x(first)), f"{day_text(first)} {first.year}"
        yield f'<text class="t" x="{at}" y="{axes.size[1] - 6}" text-anchor="middle">{text}</text>'
        return
    middle = first + (last - first) / 2
    for day, anchor in ((first, "start"), (middle, "middle"), (last, "end")):
        if (last - first).days < 14 and anchor == "middle":
            continue
        text = f"{day_text(day)} {day.year}" if anchor == "start" else day_text(day)
        yield f'<text class="t" x="{px(axes.x(day))}" y="{axes.size[1] - 6}" text-anchor="{anchor}">{text}</text>'


def path(places: Sequence[XY]) -> str:
    """Returns a line through places, in whole units and steps from one to the next, which is short."""
    rounded = [(round(x), round(y)) for x, y in places]
    steps = (f"{b[0] - a[0]} {b[1] - a[1]}" for a, b in pairwise(rounded))
    return f"M{rounded[0][0]} {rounded[0][1]}l{' '.join(steps)}".replace(" -", "-")


def ticks(axes: Axes) -> list[float]:
    """Returns two to four round values of the scale."""
    low, high = axes.values
    tens = (
        range(math.floor(math.log10(max(low, 1e-12))), math.ceil(math.log10(max(high, 1e-12))) + 1) if axes.log else ()
    )
    for factors in ((1, 2, 5), (1, 3), (1,)):
        found = [factor * 10.0**ten for ten in tens for factor in factors if low <= factor * 10.0**ten <= high]
        if 2 <= len(found) <= _TICKS:
            return found
    if axes.log:
        found = [10.0**ten for ten in tens if low <= 10.0**ten <= high]
        return found[:: math.ceil(len(found) / _TICKS)] if len(found) > 1 else [low, high]
    rough = (high - low) / _TICKS
    ten = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * ten for factor in (1, 2, 2.5, 5, 10) if factor * ten >= rough)
    return [step * n for n in range(math.ceil(low / step), math.floor(high / step) + 1)]


def day_text(day: dt.date) -> str:
    """Returns a day without its year, e.g. "16 Nov"."""
    return f"{day.day} {_MONTHS[day.month - 1]}"


def px(value: float) -> str:
    """Returns a distance in a drawing in few letters."""
    return f"{value:.1f}".removesuffix(".0")
