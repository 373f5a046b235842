"""Curves of several arms in one drawing: over days, or over the places of a list.

A day that still grows has a hollow dot on a shaded ground; where a day is missing, the line is interrupted. Colours and
dashes are the page's, by the class of a curve.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from markupsafe import Markup, escape

from jobs.pages.axes import XY, Axes, Place, dates, grid, path, px
from models.pages import without_controls

_PLOT = (420, 180)
"""Width and height of a drawing, in its units; letters are 11 of them high."""
_MARGINS = (46, 10, 12, 22)
"""Left, top, right and bottom of it."""
_SPARK = (240, 60)
_SPACE = 1.08
"""Highest end of the scale ÷ largest value."""
_DOTS = 120
"""Points of a curve from which no dots are drawn, but for days that grow."""


@dataclass(frozen=True)
class Point:
    """A value at a day or at a place of a list."""

    place: Place
    value: float
    said: str
    """What a pointer that rests on it is told."""
    grows: bool = False


@dataclass(frozen=True)
class Curve:
    """What one arm did."""

    name: str
    tone: str
    """Class of the page's styles."""
    points: tuple[Point, ...]


def curves(drawn: Sequence[Curve], what: str, text: Callable[[float], str]) -> Markup:
    """Returns the curves with their scales; nothing if there is not a single point."""
    points = [point for curve in drawn for point in curve.points]
    if not points:
        return Markup("")
    axes = _axes(points, _PLOT, _MARGINS)
    (width, height), (_, top, _, bottom) = _PLOT, _MARGINS
    names = ", ".join(curve.name for curve in drawn if curve.points)
    told = escape(without_controls(f"{what}: {names}"))
    parts = [f'<svg class="plot" viewBox="0 0 {width} {height}" role="img" aria-label="{told}">']
    for begin, end in _growing(points, axes):
        parts.append(f'<path class="b" d="M{px(begin)} {top}H{px(end)}V{height - bottom}H{px(begin)}z"/>')
    parts += grid(axes, text)
    parts += dates(axes) if isinstance(axes.ends[0], dt.date) else _numbers(axes)
    for curve in drawn:
        parts += _drawn(curve, axes)
    return Markup("".join([*parts, "</svg>"]))


def tiny(curve: Curve) -> Markup:
    """Returns one curve without letters; nothing for less than two points."""
    if len(curve.points) < 2:
        return Markup("")
    axes = _axes(curve.points, _SPARK, (4, 6, 8, 6))
    lines = "".join(f'<path class="l {curve.tone}" d="{path(line)}"/>' for line in _lines(curve.points, axes))
    return Markup(f'<svg class="spark" viewBox="0 0 {_SPARK[0]} {_SPARK[1]}" aria-hidden="true">{lines}</svg>')


def _axes(points: Sequence[Point], size: tuple[int, int], margins: tuple[int, int, int, int]) -> Axes:
    """Returns axes from zero on: halves of a rate must look like halves."""
    places = sorted((point.place for point in points), key=_number)
    return Axes((places[0], places[-1]), (0.0, _SPACE * max(point.value for point in points) or 1.0), size, margins)


def _drawn(curve: Curve, axes: Axes) -> Iterator[str]:
    for line in _lines(curve.points, axes):
        if len(line) > 1:
            yield f'<path class="l {curve.tone}" d="{path(line)}"/>'
    for point in curve.points:
        if point.grows or len(curve.points) <= _DOTS:
            look = f"d {curve.tone}{' grows' if point.grows else ''}"
            at = f'cx="{px(axes.x(point.place))}" cy="{px(axes.y(point.value))}" r="{3 if point.grows else 2.2}"'
            yield f'<circle class="{look}" {at}><title>{escape(without_controls(point.said))}</title></circle>'


def _lines(points: Sequence[Point], axes: Axes) -> Iterator[list[XY]]:
    """Yields the stretches without a missing day or place."""
    stretch: list[XY] = []
    for before, point in pairwise((None, *points)):
        assert point is not None
        if before is not None and _far(before.place, point.place):
            yield stretch
            stretch = []
        stretch.append((axes.x(point.place), axes.y(point.value)))
    if stretch:
        yield stretch


def _far(one: Place, next_one: Place) -> bool:
    return _number(next_one) - _number(one) > 1


def _number(place: Place) -> int:
    return place.toordinal() if isinstance(place, dt.date) else place


def _growing(points: Sequence[Point], axes: Axes) -> Iterator[XY]:
    """Yields from where to where days grow."""
    left, _, right, _ = axes.margins
    days = sorted({_number(point.place) for point in points if point.grows})
    for _, run in groupby(enumerate(days), lambda one: one[1] - one[0]):
        stretch = [day for _, day in run]
        begin, end = axes.x(stretch[0] - 0.5), axes.x(stretch[-1] + 0.5)
        if axes.ends[0] == axes.ends[1]:
            begin, end = 0, axes.size[0]
        yield max(begin, left), min(end, axes.size[0] - right)


def _numbers(axes: Axes) -> Iterator[str]:
    """Yields what stands below an axis of places."""
    first, last = (_number(end) for end in axes.ends)
    step = max(1, round((last - first) / 6))
    for number in range(first, last + 1, step):
        yield f'<text class="t" x="{px(axes.x(number))}" y="{axes.size[1] - 6}" text-anchor="middle">{number}</text>'
