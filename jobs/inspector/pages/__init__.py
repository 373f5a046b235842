"""How the inspector's pages look: templates, links between them, and small drawings."""

import datetime as dt
from collections.abc import Sequence
from urllib.parse import quote, urlencode

from jinja2 import ChoiceLoader, PackageLoader
from markupsafe import Markup

from conf.base import format_bytes
from jobs.inspector.explanation import Score
from jobs.inspector.listed import BANDS, band_text
from jobs.inspector.look import score_parts
from jobs.inspector.product import pages_of
from jobs.inspector.source import arm_of_run
from jobs.pages.report.words import percent, plural
from jobs.pages.templates import templates

STYLE = "/style.css"


def render(template: str, **values: object) -> str:
    """Returns a page."""
    return _PAGES.get_template(f"{template}.j2").render(values).strip() + "\n"


def link(product: str, page: str = "", **query: object) -> str:
    """Returns the address of a page of a product; queries without a value are left out."""
    at = f"/p/{quote(product, safe='')}" + (f"/{quote(page)}" if page else "")
    given = {name: str(value) for name, value in query.items() if value is not None and value != ""}
    return f"{at}?{urlencode(given)}" if given else at


def utc(moment: dt.datetime | None) -> str:
    """Returns a time in UTC to the minute."""
    return "–" if moment is None else f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M}Z"


def ago(seconds: float | None) -> str:
    """Returns how long ago something was."""
    if seconds is None:
        return ""
    for size, word in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            return f"{plural(int(seconds // size), word)} ago"
    return "just now"


def number(value: float | None) -> str:
    """Returns a number in few letters."""
    if value is None:
        return "–"
    if isinstance(value, int) or float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def signed(value: float | None) -> str:
    """Returns a number with its sign."""
    if value is None:
        return "–"
    return f"{value:+,d}" if isinstance(value, int) else f"{value:+.4f}"


def seconds_text(value: float | None) -> str:
    """Returns a duration."""
    if value is None:
        return "–"
    for size, letter in ((3_600, "h"), (60, "min")):
        if value >= size:
            return f"{value / size:.1f} {letter}"
    return f"{value:.1f} s"


def bar(parts: Sequence[tuple[str, float]], whole: float) -> Markup:
    """Returns lengths beside each other as one bar: class of the page's styles and value; `whole` is all of it."""
    drawn, at = [], 0.0
    for tone, value in parts:
        width = max(0.0, min(100 * value / whole if whole > 0 else 0.0, 100 - at))
        if width > 0:
            drawn.append(f'<rect class="{tone}" x="{at:.1f}" width="{width:.1f}" height="8"/>')
        at += width
    return Markup(
        f'<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">{"".join(drawn)}</svg>'
    )


def score_bar(score: Score) -> Markup:
    """Returns what a score is made of as one bar."""
    parts = score_parts(score)
    return bar(parts, sum(value for _, value in parts))


def column_bars(values: Sequence[int], labels: Sequence[str], told: str) -> Markup:
    """Returns columns with their labels below; `told` says the same to who cannot see it."""
    highest, step = max([*values, 1]), 360 / max(len(values), 1)
    drawn = [f'<svg class="plot" viewBox="0 0 360 130" role="img" aria-label="{Markup.escape(told)}">']
    for place, (value, label) in enumerate(zip(values, labels, strict=True)):
        height, x = 88 * value / highest, place * step
        middle = f"{x + step / 2:.1f}"
        drawn.append(
            f'<rect class="d" x="{x + step * 0.12:.1f}" y="{104 - height:.1f}" width="{step * 0.76:.1f}" '
            f'height="{height:.1f}"/>'
            f'<text class="t" x="{middle}" y="{100 - height:.1f}" text-anchor="middle">{short(value)}</text>'
            f'<text class="t" x="{middle}" y="120" text-anchor="middle">{Markup.escape(label)}</text>'
        )
    return Markup("".join([*drawn, "</svg>"]))


def short(value: int) -> str:
    """Returns a count in few letters."""
    for size, letter in ((1_000_000, "M"), (10_000, "k")):
        if value >= size:
            return f"{value / (1_000 if letter == 'k' else size):.3g}{letter}"
    return f"{value:,}"


_PAGES = templates(
    link=link,
    utc=utc,
    ago=ago,
    number=number,
    signed=signed,
    percent=percent,
    seconds=seconds_text,
    bar=bar,
    score_bar=score_bar,
    column_bars=column_bars,
    counted=plural,
    bytes_text=format_bytes,
    pages_of=pages_of,
    arm_of=arm_of_run,
)
_PAGES.globals["band_names"] = [band_text(band) for band in BANDS]
_PAGES.loader = ChoiceLoader([PackageLoader("jobs.inspector.pages", ""), PackageLoader("jobs.pages", "")])
