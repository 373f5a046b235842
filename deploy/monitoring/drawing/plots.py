"""Panels as SVG: lines and areas over time, and bars of words.

Colours are the page's, by classes: `c0` to `c7` of series, `green` to `text` of states, `m` of marks, `k` of limits.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup, escape

from deploy.monitoring.drawing.numbers import number_text
from jobs.pages.axes import XY, Axes, grid, path, px
from models.pages import without_controls

_MARGINS = (64, 8, 20, 20)
"""Left, top, right and bottom of a plot, for what is written beside its axes."""
_COLORS = 8
_SPACE = 1.06
"""Highest end of a scale ÷ largest value."""
_ROW = 24
_NAMES = 150
"""Width of the names beside bars of words."""
_ROUND_HOURS = (1, 2, 3, 4, 6, 12, 24, 48, 96, 168, 336, 672)
_BETWEEN_TIMES = 60
"""Least room for a time below an axis."""


@dataclass(frozen=True)
class Span:
    """From when to when is drawn, every so many seconds, with marks of promotions."""

    first: float
    last: float
    step: float
    marks: Sequence[float] = ()


@dataclass(frozen=True)
class Line:
    """A series of a plot."""

    name: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False


def lines_plot(
    lines: Sequence[Line],
    span: Span,
    size: tuple[int, int],
    *,
    unit: str,
    limits: Sequence[float] = (),
    ends: tuple[float | None, float | None] = (0.0, None),
    stacked: bool = False,
) -> Markup:
    """Returns lines over time, or areas that lie on each other; `ends` are those of the scale, None: of the values."""
    drawn = _stacked(lines) if stacked else lines
    axes = Axes((round(span.first), round(span.last)), _scale(drawn, limits, ends), size, _MARGINS)
    names = escape(without_controls(", ".join(line.name for line in lines)))
    parts = [f'<svg class="plot" viewBox="0 0 {size[0]} {size[1]}" role="img" aria-label="{names}">']
    parts += grid(axes, lambda tick: number_text(tick, unit), gap=6)
    parts += _times(axes)
    parts += _marks(axes, span)
    for place, line in reversed(list(enumerate(drawn))):
        look = f"c{place % _COLORS}{' dash' if line.dashed else ''}"
        for stretch in _stretches(line.points, span.step):
            places = [(axes.x(time), axes.y(value)) for time, value in stretch]
            if stacked:
                foot = axes.y(0)
                parts.append(
                    f'<path class="a {look}" d="{path([*places, (places[-1][0], foot), (places[0][0], foot)])}z"/>'
                )
            elif len(places) == 1:
                parts.append(f'<circle class="o {look}" cx="{px(places[0][0])}" cy="{px(places[0][1])}" r="2"/>')
            if len(places) > 1:
                parts.append(f'<path class="l {look}" d="{path(_thin(places))}"/>')
    left, right = _MARGINS[0], size[0] - _MARGINS[2]
    parts += [f'<path class="k" d="M{left} {px(axes.y(limit))}H{right}"/>' for limit in limits]
    return Markup("".join([*parts, "</svg>"]))


def states_plot(
    lines: Sequence[Line], span: Span, size: tuple[int, int], words: Mapping[float, tuple[str, str]]
) -> Markup:
    """Returns a bar for each series: how long it was in which state."""
    height = max(size[1], len(lines) * _ROW + _MARGINS[3])
    axes = Axes(
        (round(span.first), round(span.last)), (0.0, 1.0), (size[0], height), (_NAMES, 0, _MARGINS[2], _MARGINS[3])
    )
    names = escape(without_controls(", ".join(line.name for line in lines)))
    parts = [f'<svg class="plot" viewBox="0 0 {size[0]} {height}" role="img" aria-label="{names}">', *_times(axes)]
    tall = min((height - _MARGINS[3]) / max(len(lines), 1), 2 * _ROW)
    for row, line in enumerate(lines):
        top, name = row * tall, escape(without_controls(line.name))
        parts.append(f'<text class="t" x="{_NAMES - 8}" y="{px(top + tall / 2 + 4)}" text-anchor="end">{name}</text>')
        for begin, end, value in _states(line.points, span):
            text, color = words.get(value, (f"{value:g}", "text"))
            x, width = axes.x(begin), max(axes.x(min(end, span.last)) - axes.x(begin), 1.0)
            parts.append(
                f'<rect class="s {color}" x="{px(x)}" y="{px(top + 2)}" width="{px(width)}" height="{px(tall - 4)}">'
                f"<title>{escape(text)}</title></rect>"
            )
            if width > 7 * len(text) + 12:
                parts.append(f'<text class="w" x="{px(x + 6)}" y="{px(top + tall / 2 + 4)}">{escape(text)}</text>')
    parts += _marks(axes, span)
    return Markup("".join([*parts, "</svg>"]))


def _scale(lines: Sequence[Line], limits: Sequence[float], ends: tuple[float | None, float | None]) -> XY:
    values = [*(value for line in lines for _, value in line.points), *limits] or [0.0, 1.0]
    low, high = ends
    space = (_SPACE - 1) * (max(values) - min(values))
    low = min(values) - space if low is None else min(low, *values)
    high = max(values) + space if high is None else max(high, *values)
    return low, high if high > low else low + 1


def _times(axes: Axes) -> Iterator[str]:
    """Yields round times below the axis: hours within two days, else days."""
    first, last = (float(end) for end in axes.ends if not isinstance(end, dt.date))
    most = max((axes.size[0] - axes.margins[0] - axes.margins[2]) // _BETWEEN_TIMES, 1)
    hours = next((one for one in _ROUND_HOURS if (last - first) / 3600 / one <= most), _ROUND_HOURS[-1])
    step = hours * 3600
    time = (first // step + 1) * step
    while time <= last:
        at = dt.datetime.fromtimestamp(time, dt.UTC)
        text = f"{at:%H:%M}" if hours < 24 else f"{at.day} {at:%b}"
        x = px(axes.x(time))
        yield f'<path class="g" d="M{x} {axes.margins[1]}V{axes.size[1] - axes.margins[3]}"/>'
        yield f'<text class="t" x="{x}" y="{axes.size[1] - 5}" text-anchor="middle">{text}</text>'
        time += step


def _marks(axes: Axes, span: Span) -> Iterator[str]:
    foot = axes.size[1] - axes.margins[3]
    for mark in span.marks:
        if span.first <= mark <= span.last:
            yield f'<path class="m" d="M{px(axes.x(mark))} {axes.margins[1]}V{foot}"><title>Promotion</title></path>'


def _stretches(points: Sequence[tuple[float, float]], step: float) -> Iterator[list[tuple[float, float]]]:
    """Yields the points between gaps."""
    stretch: list[tuple[float, float]] = []
    for point in points:
        if stretch and point[0] - stretch[-1][0] > 1.5 * step:
            yield stretch
            stretch = []
        stretch.append(point)
    if stretch:
        yield stretch


def _thin(places: Sequence[XY]) -> list[XY]:
    """Returns a line without places amid others of one height, which it does not need."""
    around = zip(places, places[1:], places[2:], strict=False)
    kept = [place for before, place, after in around if not before[1] == place[1] == after[1]]
    return [places[0], *kept, places[-1]]


def _states(points: Sequence[tuple[float, float]], span: Span) -> Iterator[tuple[float, float, float]]:
    """Yields from when to when a series had which value."""
    if not points:
        return
    begin, value = points[0]
    for (time, _), (later, found) in pairwise(points):
        if found != value or later - time > 1.5 * span.step:
            yield begin, min(later, time + span.step), value
            begin, value = later, found
    yield begin, points[-1][0] + span.step, value


def _stacked(lines: Sequence[Line]) -> list[Line]:
    """Returns each line on top of those before it."""
    sums: dict[float, float] = {}
    made = []
    for line in lines:
        points = []
        for time, value in line.points:
            sums[time] = sums.get(time, 0.0) + (value if value == value else 0.0)
            points.append((time, sums[time]))
        made.append(Line(line.name, points, line.dashed))
    return made
