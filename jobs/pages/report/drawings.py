"""The drawings of the report: bars, rows of each day, a metric beside others, and a metric over the weeks."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup, escape

from jobs.pages.axes import Axes, dates, grid, path, px
from models.pages import without_controls

_BAR = (200, 10)
_DAYS = (240, 36)
_GAP = 0.25
"""Part of a day's width that is left free."""
_WHISKER = (200, 16)
_WEEKS = (420, 170)
_MARGINS = (46, 12, 12, 22)
_SPACE = 1.08
_CAP = 4


@dataclass(frozen=True)
class Estimate:
    """A mean, and its interval where it has one."""

    mean: float
    low: float | None = None
    high: float | None = None

    @property
    def most(self) -> float:
        """The largest of its numbers."""
        return max(self.mean, self.mean if self.high is None else self.high)


@dataclass(frozen=True)
class Line:
    """A metric over the days on which runs were made."""

    name: str
    tone: str
    """Class of the page's styles."""
    points: Mapping[dt.date, Estimate]


def bar(value: float, most: float, said: str, tone: str = "") -> Markup:
    """Returns a bar of `value` out of `most`."""
    width, height = _BAR
    part = 0.0 if most <= 0 else min(max(value / most, 0.0), 1.0) * width
    inside = f'<path class="ground" d="M0 0h{width}v{height}h-{width}z"/>'
    inside += f'<path class="fill {tone}" d="M0 0h{px(part)}v{height}h-{px(part)}z"/>'
    return _svg("bar", _BAR, said, inside, stretched=True)


def days(rows: Mapping[dt.date, int], start: dt.date, end: dt.date, missing: Sequence[dt.date], said: str) -> Markup:
    """Returns a bar for each day from `start` to the one before `end`, and a mark where one is missing."""
    width, height = _DAYS
    total = max(1, (end - start).days)
    step, most = width / total, max([1, *rows.values()])
    drawn = []
    for day, count in rows.items():
        if start <= day < end:
            left, wide = (day - start).days * step, step * (1 - _GAP)
            tall = max(0.5, (height - 2) * min(count / most, 1.0))
            drawn.append(f"M{px(left)} {height}v-{px(tall)}h{px(wide)}v{px(tall)}z")
    lost = [f"M{px((day - start).days * step)} {height}v-4h{px(step * (1 - _GAP))}v4z" for day in missing]
    inside = f'<path class="fill" d="{"".join(drawn)}"/>' if drawn else ""
    inside += f'<path class="lost" d="{"".join(lost)}"/>' if lost else ""
    return _svg("days", _DAYS, said, inside, stretched=True)


def whisker(found: Estimate, most: float, said: str, tone: str = "") -> Markup:
    """Returns a mean and its interval on a scale from 0 to `most`."""
    width, middle = _WHISKER[0], _WHISKER[1] / 2

    def at(value: float) -> float:
        return 4 + (width - 8) * min(max(value / most if most > 0 else 0.0, 0.0), 1.0)

    inside = f'<path class="g" d="M4 {px(middle)}H{width - 4}"/>'
    if found.low is not None and found.high is not None:
        low, high = px(at(found.low)), px(at(found.high))
        inside += f'<path class="w {tone}" d="M{low} {px(middle)}H{high}M{low} 4v8M{high} 4v8"/>'
    inside += f'<circle class="d {tone}" cx="{px(at(found.mean))}" cy="{px(middle)}" r="3.5"/>'
    return _svg("whisker", _WHISKER, said, inside)


def weeks(lines: Sequence[Line], said: str) -> Markup:
    """Returns metrics over the weeks with their intervals; nothing for less than two weeks."""
    points = [(day, found) for line in lines for day, found in line.points.items()]
    if len({day for day, _ in points}) < 2:
        return Markup("")
    known = sorted(day for day, _ in points)
    most = max(found.most for _, found in points)
    axes = Axes((known[0], known[-1]), (0.0, _SPACE * most or 1.0), _WEEKS, _MARGINS)
    parts = [*grid(axes, lambda tick: f"{tick:.4g}"), *dates(axes)]
    for line in lines:
        parts += _line(line, axes)
    return _svg("plot", _WEEKS, said, "".join(parts))


def _line(line: Line, axes: Axes) -> Iterator[str]:
    places = sorted(line.points.items())
    for (before, one), (day, two) in pairwise(places):
        ends = [(axes.x(before), axes.y(one.mean)), (axes.x(day), axes.y(two.mean))]
        yield f'<path class="l {line.tone}" d="{path(ends)}"/>'
    for day, found in places:
        x, y = px(axes.x(day)), px(axes.y(found.mean))
        interval = ""
        if found.low is not None and found.high is not None:
            low, high = px(axes.y(found.low)), px(axes.y(found.high))
            yield f'<path class="w {line.tone}" d="M{x} {low}V{high}"/>'
            interval = f" ({found.low:.4f} to {found.high:.4f})"
        told = escape(without_controls(f"{line.name}, {day}: {found.mean:.4f}{interval}"))
        yield f'<circle class="d {line.tone}" cx="{x}" cy="{y}" r="3"><title>{told}</title></circle>'


def _svg(look: str, size: tuple[int, int], said: str, inside: str, *, stretched: bool = False) -> Markup:
    told = escape(without_controls(said))
    shape = ' preserveAspectRatio="none"' if stretched else ""
    head = f'<svg class="{look}" viewBox="0 0 {size[0]} {size[1]}"{shape} role="img" aria-label="{told}">'
    return Markup(f"{head}<title>{told}</title>{inside}</svg>")
