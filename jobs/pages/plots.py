"""The history of a statistic as SVG: what was found as a line, what was allowed as an area, the newest marked.

Colours are the page's, by classes: `b` band, `r` range of one day, `l` line, `d` dot, `n` the newest, `v` its value,
`g` grid, `t` text.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise

from markupsafe import Markup, escape

from expectations.drift.checks import NOTHING, allowed_text, statistic_of, value_text
from expectations.drift.findings import Finding, Point
from jobs.pages.axes import XY, Axes, dates, day_text, grid, path, px
from models.pages import without_controls

_PLOT = (360, 150)
"""Width and height of a plot, in the units of its drawing; letters are 11 of them high."""
_MARGINS = (48, 10, 12, 22)
"""Left, top, right and bottom of it, for what is written beside the axes."""
_SPARK = (240, 60)
"""Of a tiny plot, which is shown at half of it."""
_LOG_FROM = 8
"""A largest value ÷ smallest one from which the scale is logarithmic."""
_BEYOND = 0.35
"""Part of the range of what was found by which older bands may widen the plot."""
_GAP = 2.5
"""Weeks, or usual distances between runs, without a number that interrupt the line."""


def plot(finding: Finding) -> Markup:
    """Returns the history of a finding with scales and dates; a dot tells its numbers to a pointer that rests on it."""
    axes, told = _axes(finding, _PLOT, _MARGINS), escape(without_controls(_spoken(finding)))
    (width, height), left = _PLOT, _MARGINS[0]
    parts = [f'<svg class="plot" viewBox="0 0 {width} {height}" role="img" aria-label="{told}">']
    parts += [*grid(axes, partial(_short, finding)), *dates(axes)]
    if axes.log:
        parts.append(f'<text class="t" x="{left}" y="9">logarithmic</text>')
    parts += [_band(segment, axes) for segment in _bands(finding.past)]
    parts += [f'<path class="l" d="{path(segment)}"/>' for segment in _lines(finding.past, axes)]
    for point in finding.past:
        if point.found is not None:
            found = f"{day_text(point.day)} {point.day.year}: {value_text(finding, point.found)}"
            allowed = "" if point.low is point.high is None else f", usual {allowed_text(finding, point)}"
            parts.append(
                f'<circle class="d" cx="{px(axes.x(point.day))}" cy="{px(axes.y(point.found))}" r="2">'
                f"<title>{escape(found + allowed)}</title></circle>"
            )
    parts += _newest(finding, axes)
    return Markup("".join([*parts, "</svg>"]))


def spark(finding: Finding) -> Markup:
    """Returns the history of a finding as a tiny plot without letters; nothing for less than two numbers."""
    if sum(point.found is not None for point in finding.past) < 2:
        return Markup("")
    axes = _axes(finding, _SPARK, (4, 6, 8, 6))
    parts = [f'<svg class="spark" viewBox="0 0 {_SPARK[0]} {_SPARK[1]}" aria-hidden="true">']
    parts += [_band(segment, axes) for segment in _bands(finding.past)]
    parts += [f'<path class="l" d="{path(segment)}"/>' for segment in _lines(finding.past, axes)]
    place = _place(finding)
    if place is not None:
        parts.append(f'<circle class="n" cx="{round(axes.x(place[0]))}" cy="{round(axes.y(place[1]))}" r="5"/>')
    return Markup("".join([*parts, "</svg>"]))


def _axes(finding: Finding, size: tuple[int, int], margins: tuple[int, int, int, int]) -> Axes:
    days = [point.day for point in finding.past]
    place = _place(finding)
    days += [place[0]] if place else []
    found = [point.found for point in finding.past if point.found is not None]
    newest = [finding.low, finding.high, *((finding.past[-1].low, finding.past[-1].high) if finding.past else ())]
    found += [value for value in (place[1] if place else None, *newest) if value is not None]
    if not days or not found:
        return Axes((dt.date.min, dt.date.min), (0.0, 1.0), size, margins)
    low, high = min(found), max(found)
    log = low > NOTHING and high / low >= _LOG_FROM
    limits = [limit for point in finding.past for limit in (point.low, point.high) if limit is not None]
    if log:
        reach = (high / low) ** _BEYOND
        ends = _around(low, high, limits, low / reach, high * reach)
        return Axes((min(days), max(days)), ends, size, margins, log)
    reach = _BEYOND * (high - low)
    low, high = _around(low, high, limits, low - reach, high + reach)
    space = 0.06 * (high - low) or abs(high) * 0.1 or 1.0
    return Axes((min(days), max(days)), (low - space, high + space), size, margins)


def _around(low: float, high: float, limits: Sequence[float], least: float, most: float) -> XY:
    """Returns the range widened by older limits, but no further than from `least` to `most`."""
    return max(least, min([low, *limits])), min(most, max([high, *limits]))


def _place(finding: Finding) -> tuple[dt.date, float] | None:
    """Returns the day and the value of the finding; None where it has none."""
    if finding.value is not None and finding.days:
        return max(finding.days), finding.value
    known = [(point.day, point.found) for point in finding.past if point.found is not None]
    return known[-1] if known else None


def _newest(finding: Finding, axes: Axes) -> Iterator[str]:
    """Yields the mark of what was found; of a single day beside what that day allows."""
    place = _place(finding)
    if place is None:
        return
    x, y = axes.x(place[0]), axes.y(place[1])
    is_week = any(point.day == place[0] and point.found == place[1] for point in finding.past)
    if not is_week and finding.value is not None:
        ends = (axes.values[0] if finding.low is None else finding.low, axes.values[1])
        low, high = axes.y(ends[0]), axes.y(ends[1] if finding.high is None else finding.high)
        yield f'<path class="r" d="M{px(x)} {px(low)}V{px(high)}"/>'
    yield f'<circle class="n" cx="{px(x)}" cy="{px(y)}" r="5"/>'
    anchor, dx = ("end", -9) if x > axes.size[0] / 2 else ("start", 9)
    dy = 12 if y < axes.size[1] / 2 else -5
    text = value_text(finding, place[1])
    yield f'<text class="v" x="{px(x)}" y="{px(y)}" dx="{dx}" dy="{dy}" text-anchor="{anchor}">{escape(text)}</text>'


def _bands(past: Sequence[Point]) -> Iterator[list[Point]]:
    """Yields the stretches of weeks of which limits are known."""
    stretch: list[Point] = []
    for point in past:
        if point.low is None and point.high is None:
            if stretch:
                yield stretch
            stretch = []
        else:
            stretch.append(point)
    if stretch:
        yield stretch


def _band(stretch: Sequence[Point], axes: Axes) -> str:
    low, high = axes.values
    tops = [(axes.x(one.day), axes.y(high if one.high is None else one.high)) for one in stretch]
    ends = [(axes.x(one.day), axes.y(low if one.low is None else one.low)) for one in stretch]
    if len(stretch) == 1:
        tops, ends = ([(x - 4, y), (x + 4, y)] for ((x, y),) in (tops, ends))
    return f'<path class="b" d="{path([*tops, *reversed(ends)])}z"/>'


def _lines(past: Sequence[Point], axes: Axes) -> Iterator[list[XY]]:
    """Yields the stretches of weeks without a gap."""
    known = [(point.day, point.found) for point in past if point.found is not None]
    gaps = sorted((later - earlier).days for (earlier, _), (later, _) in pairwise(known))
    usual = gaps[len(gaps) // 2] if gaps else 7
    stretch: list[tuple[dt.date, float]] = []
    for day, found in known:
        if stretch and (day - stretch[-1][0]).days > _GAP * usual:
            yield [(axes.x(at), axes.y(value)) for at, value in stretch]
            stretch = []
        stretch.append((day, found))
    if len(stretch) > 1:
        yield [(axes.x(at), axes.y(value)) for at, value in stretch]


def _short(finding: Finding, value: float) -> str:
    """Returns a value of the scale in few letters."""
    one = statistic_of(finding)
    if one is not None and one.scale == "share":
        return f"{100 * value:.4g} %"
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if letter == 'k' else size):.4g}{letter}"
    return f"{value:,.4g}" if abs(value) >= 1000 else f"{value:.4g}"


def _spoken(finding: Finding) -> str:
    weeks = len(finding.past)
    return f"{finding.full_name} over {weeks} weeks or runs: {value_text(finding, finding.value)} now"
