"""The page of outcomes: what users did with their lists, day by day and arm beside arm."""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from markupsafe import Markup

from jobs.pages.curves import Curve, Point, curves, tiny
from jobs.pages.templates import templates
from models.outcomes.basis import Basis
from models.outcomes.figures import Figures, incremental_hits
from models.outcomes.intervals import Incremental, Interval

_ARMS = ("treatment", "control", "shadow")
"""Arms in the order of the page; others come after them."""
_WORDS: Mapping[str, str] = {
    "treatment": "users who were answered with the run",
    "control": "users outside of the treatment, with nothing or with the lists of another run",
    "shadow": "users outside of the treatment, by lists that the run made for them and nobody saw",
    "unknown": "impressions from when the pointer's history says nothing",
}
_MOST = 20
"""Categories that are shown, those with the most hits."""
Row = Mapping[str, Any]
Value = Callable[[Figures], float | None]
Text = Callable[[float], str]


@dataclass(frozen=True)
class Card:
    """A drawing with its title."""

    title: str
    what: str
    drawn: Markup
    lacking: str
    """What to say where there is nothing to draw."""


@dataclass(frozen=True)
class Category:
    """One category: its hits, its rate in each arm, and the curve of the first arm that has one."""

    name: str
    hits: int
    rates: Sequence[str]
    drawn: Markup


@dataclass(frozen=True)
class Part:
    """What rests on one basis."""

    basis: Basis
    rows: Sequence[Row]
    growing: frozenset[dt.date]

    @cached_property
    def arms(self) -> list[str]:
        """Arms of which there is anything."""
        found = {row["arm"] for row in self.rows}
        return [*(arm for arm in _ARMS if arm in found), *sorted(found - set(_ARMS))]

    @cached_property
    def totals(self) -> list[tuple[str, Figures]]:
        """Arm → all days together."""
        return [(arm, Figures.sum(some)) for arm in self.arms if (some := self._of(arm, "all"))]

    @cached_property
    def incremental(self) -> list[tuple[dt.date, Incremental]]:
        """First day of a week → what lists have made in it; nothing where there are no shadow lists."""
        weeks: dict[dt.date, list[Row]] = {}
        for row in self.rows:
            weeks.setdefault(row["day"] - dt.timedelta(days=row["day"].weekday()), []).append(row)
        return [(week, one) for week, rows in sorted(weeks.items()) if (one := incremental_hits(rows)) is not None]

    def within(self, one: Figures) -> str:
        """The ends of the rate's 95 % interval; nothing where they are not known."""
        return _ends(one.interval, lambda value: self._rate_text(max(0.0, value)))

    @property
    def rate_name(self) -> str:
        """The name of hits ÷ what they are divided by."""
        return self.basis.rate

    @cached_property
    def cards(self) -> list[Card]:
        """The curves over days, and that over the places of lists."""
        rate, none = self.basis.rate, f"There are no {self.basis.per} on these days."
        return [
            Card(
                f"{rate[0].upper()}{rate[1:]}",
                f"hits ÷ {self.basis.per}, by day",
                self._days(lambda one: one.rate.value, self._rate_text, rate),
                none,
            ),
            Card(
                "Users", f"who had {self.basis.per}, by day", self._days(lambda one: one.users, _count, "users"), none
            ),
            Card(
                "New engagements that were listed",
                "part of all that are new, by day",
                self._days(lambda one: one.new_share, _percent, "listed share"),
                "Which engagements are new is not known on these days, or there are none.",
            ),
            Card(
                "By place",
                f"{rate} at each place, all days{self._elsewhere()}",
                self._places(),
                "The place of no hit is known.",
            ),
        ]

    @cached_property
    def categories(self) -> list[Category]:
        """Categories with the most hits first."""
        found: dict[str | None, list[Row]] = {}
        for row in self.rows:
            if row["by"] == "category":
                found.setdefault(row["value"], []).append(row)
        sums = sorted(((Figures.sum(rows).hits or 0, value or "", rows) for value, rows in found.items()), reverse=True)
        return [self._category(name, hits, rows) for hits, name, rows in sums]

    def _elsewhere(self) -> str:
        rows = (row for row in self.rows if row["by"] == "position" and row["value"] is None)
        hits = sum(row["hits"] or 0 for row in rows)
        return f"; {hits:,} hits at places that are not known" if hits else ""

    def _category(self, name: str, hits: int, rows: Sequence[Row]) -> Category:
        by_arm = {arm: [row for row in rows if row["arm"] == arm] for arm in self.arms}
        rates = [self._rate_text(Figures.sum(some).rate.value) if some else "–" for some in by_arm.values()]
        first = next(arm for arm, some in by_arm.items() if some)
        points = [Point(day, value, "") for day, one in _by_day(by_arm[first]) if (value := one.rate.value) is not None]
        return Category(name or "unknown", hits, rates, tiny(Curve(first, _tone(first), tuple(points))))

    def _of(self, arm: str, by: str) -> list[Row]:
        return [row for row in self.rows if row["arm"] == arm and row["by"] == by]

    def _days(self, value: Value, text: Text, what: str) -> Markup:
        return curves([self._by_day(arm, value, text) for arm in self.arms], what, text)

    def _by_day(self, arm: str, value: Value, text: Text) -> Curve:
        points = [
            Point(day, found, f"{arm}, {day}: {text(found)}{grows}", bool(grows))
            for day, one in _by_day(self._of(arm, "all"))
            if (found := value(one)) is not None
            for grows in [", still growing" if day in self.growing else ""]
        ]
        return Curve(arm, _tone(arm), tuple(points))

    def _places(self) -> Markup:
        drawn = []
        for arm in self.arms:
            by_place: dict[int, list[Row]] = {}
            for row in self._of(arm, "position"):
                if row["value"] is not None:
                    by_place.setdefault(int(row["value"]), []).append(row)
            sums = [(place, Figures.sum(rows).rate.value) for place, rows in sorted(by_place.items())]
            points = [
                Point(place, value, f"{arm}, place {place}: {self._rate_text(value)}")
                for place, value in sums
                if value is not None
            ]
            drawn.append(Curve(arm, _tone(arm), tuple(points)))
        return curves(drawn, f"{self.basis.rate} by place", self._rate_text)

    def _rate_text(self, value: float | None) -> str:
        if value is None:
            return "–"
        return _percent(value) if self.basis is Basis.SHOWN else f"{value:.3g}"


@dataclass(frozen=True)
class Page:
    """All that the page says."""

    product: str
    mature: Mapping[dt.date, bool]
    """Measured day → whether no further event can count; the oldest first."""
    rows: Sequence[Row]
    notes: Sequence[str]

    @property
    def days(self) -> str:
        """The day, or the first and the last one."""
        first, last = min(self.mature), max(self.mature)
        return str(first) if first == last else f"{first} to {last}"

    @cached_property
    def parts(self) -> list[Part]:
        """One for each basis, the strongest first."""
        growing = frozenset(day for day, mature in self.mature.items() if not mature)
        found = {Basis(row["basis"]) for row in self.rows}
        return [
            Part(basis, [row for row in self.rows if row["basis"] == basis], growing)
            for basis in reversed(Basis)
            if basis in found
        ]

    @property
    def growing(self) -> int:
        """Days that still grow."""
        return sum(not mature for mature in self.mature.values())

    @property
    def headline(self) -> str:
        """The rate of each arm on the strongest basis, or what is missing."""
        if not self.parts:
            return "Nothing was answered or shown on these days"
        part = self.parts[0]
        rates = [
            f"{arm} {one.rate.text}".replace(" %", "\u00a0%") for arm, one in part.totals if one.rate.value is not None
        ]
        name = part.basis.rate
        return f"{name[0].upper()}{name[1:]}: {', '.join(rates) or 'unknown'}"

    def word_of(self, arm: str) -> str:
        """What an arm is."""
        return _WORDS.get(arm, "")


def outcomes_page(product: str, mature: Mapping[dt.date, bool], rows: Sequence[Row], notes: Sequence[str]) -> str:
    """Returns the page of measured days (each with whether it is mature, the oldest first, at least one) and rows."""
    page = Page(product, mature, rows, notes)
    return _PAGES.get_template("outcomes.html.j2").render(page=page, most=_MOST).strip() + "\n"


def _by_day(rows: Sequence[Row]) -> Iterator[tuple[dt.date, Figures]]:
    """Yields each day and its sums over runs."""
    found: dict[dt.date, list[Row]] = {}
    for row in rows:
        found.setdefault(row["day"], []).append(row)
    for day in sorted(found):
        yield day, Figures.sum(found[day])


def _tone(arm: str) -> str:
    return arm if arm in _ARMS else "other"


def _count(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= size:
            return f"{value / (1e3 if letter == 'k' else size):.4g}{letter}"
    return f"{value:,.0f}"


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %"


def _ends(interval: Interval | None, text: Text) -> str:
    if interval is None or interval.low is None or interval.high is None:
        return ""
    return f"{text(interval.low)} … {text(interval.high)}"


def _difference(one: Incremental) -> str:
    """Returns the ends of a difference for people."""
    return _ends(one.difference, lambda value: f"{value:+.4f}") or "too few users to tell"


def _seconds(value: float | None) -> str:
    if value is None:
        return "–"
    for size, letter in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if value >= size:
            return f"{value / size:.1f} {letter}"
    return f"{value:.0f} s"


_PAGES = templates(tone=_tone, percent=_percent, seconds=_seconds, difference=_difference)
