"""Effects with their intervals: one behind the other by week, or one below the other on a common scale.

An interval that is wider than the drawing ends at its edge, without a cap.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from jobs.pages.axes import XY, Axes, grid, px
from models.pages import without_controls

_PLOT = (420, 190)
"""Width and height of a drawing, in its units; letters are 11 of them high."""
_MARGINS = (52, 12, 12, 22)
"""Left, top, right and bottom of it."""
_ROW = (260, 26)
_CAP = 4
"""Half the width of the end of an interval."""
_WIDEST = 2.5
"""A drawing is so many times as high as the newest interval, at most."""
_SPACE = 1.12


@dataclass(frozen=True)
class Whisker:
    """An effect and its interval."""

    value: float
    ends: XY | None
    """None: it is not known yet."""
    said: str
    """What a pointer that rests on it is told."""
    week: int = 0
    tone: str = ""
    """Class of the page's styles."""


def by_week(drawn: Sequence[Whisker], weeks: int, what: str, margin: float | None = None) -> Markup:
    """Returns effects over weeks 1 … `weeks`, in percent; `margin`: a line that must not be crossed."""
    values = _range(drawn, [] if margin is None else [margin])
    axes = Axes((1, max(2, weeks)), values, _PLOT, _MARGINS)
    (width, height), (left, _, right, _) = _PLOT, _MARGINS
    told = escape(without_controls(what))
    parts = [f'<svg class="plot" viewBox="0 0 {width} {height}" role="img" aria-label="{told}">']
    parts += grid(axes, _percent, gap=6)
    parts.append(f'<path class="zero" d="M{left} {px(axes.y(0.0))}H{width - right}"/>')
    if margin is not None:
        parts.append(f'<path class="margin" d="M{left} {px(axes.y(margin))}H{width - right}"/>')
    step = max(1, weeks // 8)
    for week in range(1, weeks + 1, step):
        parts.append(f'<text class="t" x="{px(_x(axes, week))}" y="{height - 6}" text-anchor="middle">{week}</text>')
    for one in drawn:
        parts += _upright(one, axes)
    return Markup("".join([*parts, "</svg>"]))


def beside(one: Whisker, scale: float) -> Markup:
    """Returns one effect on a scale from −`scale` to `scale`, without letters."""
    (width, height), middle, told = _ROW, _ROW[1] / 2, escape(without_controls(one.said))
    parts = [f'<svg class="forest" viewBox="0 0 {width} {height}" role="img" aria-label="{told}">']
    parts.append(f'<path class="zero" d="M{width / 2:g} 0V{height}"/>')
    if one.ends is not None:
        low, high = (_across(end, scale) for end in one.ends)
        parts.append(f'<path class="w {one.tone}" d="M{px(low)} {px(middle)}H{px(high)}"/>')
        for end, at in zip(one.ends, (low, high), strict=True):
            if abs(end) <= scale:
                parts.append(f'<path class="w {one.tone}" d="M{px(at)} {px(middle - _CAP)}v{2 * _CAP}"/>')
    dot = px(_across(one.value, scale))
    parts.append(f'<circle class="d {one.tone}" cx="{dot}" cy="{px(middle)}" r="3.5"/></svg>')
    return Markup("".join(parts))


def common_scale(drawn: Sequence[Whisker]) -> float:
    """Returns a scale on which most intervals can be seen whole: half of them at least are not cut."""
    reach = sorted(max(abs(one.value), *(abs(end) for end in one.ends or ())) for one in drawn if one.ends is not None)
    reach = reach or [abs(one.value) for one in drawn] or [1.0]
    least = max((abs(one.value) for one in drawn), default=0.0)
    return _SPACE * (max(least, min(reach[-1], _WIDEST * reach[len(reach) // 2])) or 1.0)


def _range(drawn: Sequence[Whisker], others: Sequence[float]) -> XY:
    """Returns a range with zero, all values, and the newest interval whole; older ones as far as they fit."""
    known = [one.ends for one in drawn if one.ends is not None]
    needed = [0.0, *others, *(one.value for one in drawn), *(known[-1] if known else ())]
    low, high = min(needed), max(needed)
    room = _WIDEST * (high - low)
    wished = [end for ends in known for end in ends]
    low, high = max(min([low, *wished]), high - room), min(max([high, *wished]), low + room)
    space = (_SPACE - 1) / 2 * (high - low) or 0.01
    return low - space, high + space


def _x(axes: Axes, week: int) -> float:
    """Returns the place of a week: half a week of room at both ends."""
    left, _, right, _ = axes.margins
    weeks = int(str(axes.ends[1]))
    return left + (week - 0.5) / weeks * (axes.size[0] - left - right)


def _upright(one: Whisker, axes: Axes) -> Iterator[str]:
    x, (least, most) = _x(axes, one.week), axes.values
    yield f"<g><title>{escape(without_controls(one.said))}</title>"
    if one.ends is not None:
        low, high = one.ends
        yield f'<path class="w {one.tone}" d="M{px(x)} {px(axes.y(low))}V{px(axes.y(high))}"/>'
        for end in one.ends:
            if least <= end <= most:
                yield f'<path class="w {one.tone}" d="M{px(x - _CAP)} {px(axes.y(end))}h{2 * _CAP}"/>'
    hollow = " grows" if one.ends is None else ""
    yield f'<circle class="d {one.tone}{hollow}" cx="{px(x)}" cy="{px(axes.y(one.value))}" r="4"/></g>'


def _across(value: float, scale: float) -> float:
    part = min(max(value / scale, -1.0), 1.0)
    return _ROW[0] / 2 * (1 + part)


def _percent(value: float) -> str:
    return "0 %" if abs(value) < 1e-12 else f"{100 * value:+.3g} %"
