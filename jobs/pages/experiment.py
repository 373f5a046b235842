"""The page of an experiment: mismatch first, then effects by week with their intervals, guardrails and categories."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from markupsafe import Markup

from jobs.experiments.report import AnyResult, NoResult, Reading, Report, Result, dates_of
from jobs.experiments.words import (
    carry_over_said,
    decided_ones,
    headline,
    interval_said,
    left_out,
    signed,
    state_of,
    weeks_said,
)
from jobs.pages.forest import Whisker, beside, by_week, common_scale
from jobs.pages.templates import templates

_MOST = 20
"""Categories that are shown, those with the most."""


@dataclass(frozen=True)
class Card:
    """One metric with its drawing."""

    found: AnyResult
    drawn: Markup
    decides: bool

    @property
    def lacking(self) -> str:
        """Why there is no drawing."""
        return self.found.reason if isinstance(self.found, NoResult) else ""

    @property
    def chip(self) -> tuple[str, str]:
        """The word on it, and the class of its look."""
        if isinstance(self.found, NoResult):
            return "not known", "warning"
        if not self.decides:
            return "decides nothing", ""
        if self.found.state == "undecided":
            return self.found.state, ""
        return f"decided: {self.found.state}", "ok" if self.found.state == "more" else "stops"


@dataclass(frozen=True)
class Split:
    """What a metric is split by."""

    metric: str
    rows: Sequence[tuple[AnyResult, Markup]]
    total: int


@dataclass(frozen=True)
class Page:
    """All that the page says."""

    report: Report

    @property
    def look(self) -> str:
        """The class of the headline's look."""
        if self.report.is_mismatch or any(harm.state == "broken" for harm in self.report.harms):
            return "stops"
        doubtful = self.report.carried_over or any(harm.state != "held" for harm in self.report.harms)
        return "ok" if decided_ones(self.report) and not doubtful else "warning"

    @property
    def headline(self) -> str:
        """The report in one line."""
        return headline(self.report).replace(" %", "\u00a0%")

    @property
    def state(self) -> str:
        """Since when it is open, or when it was closed."""
        return state_of(self.report)

    @property
    def when(self) -> str:
        """The weeks it rests on."""
        weeks = self.report.record.weeks[1:]
        shares = ", ".join("none" if week.share_bp is None else f"{week.share_bp / 100:g}" for week in weeks)
        numbers = weeks_said([week.number for week in weeks])
        return f"{'weeks' if len(weeks) > 1 else 'week'} {numbers} ({dates_of(weeks)}), {shares} % treated"

    @cached_property
    def cards(self) -> list[Card]:
        """The metrics that decide, then others that were asked for."""
        deciding = [(one, True) for one in self.report.effects or ()]
        return [
            self._card(one, decides=decides) for one, decides in (*deciding, *((x, False) for x in self.report.others))
        ]

    @cached_property
    def splits(self) -> list[Split]:
        """What metrics are split by."""
        return [
            Split(metric, list(_forest(parts[:_MOST])), len(parts)) for metric, parts in self.report.categories.items()
        ]

    @property
    def carry_over(self) -> str:
        """Whether both arms were alike before."""
        return carry_over_said(self.report)

    @property
    def notes(self) -> list[str]:
        """What is to be known."""
        return [*left_out(self.report), *self.report.notes]

    def _card(self, one: AnyResult, *, decides: bool) -> Card:
        if isinstance(one, NoResult):
            return Card(one, Markup(""), decides)
        drawn = [whisker for reading in one.readings if (whisker := _whisker(reading, one)) is not None]
        if not drawn:
            return Card(one, Markup(""), decides)
        limits = {harm.guardrail.metric: harm.guardrail.limit for harm in self.report.harms}
        weeks = max(self.report.judged_by.weeks, one.newest.week)
        what = f"lift of {one.metric} after each week, with the interval that holds at any look"
        return Card(one, by_week(drawn, weeks, what, limits.get(one.metric)), decides)


def experiment_page(report: Report) -> str:
    """Returns the page of a report."""
    return _PAGES.get_template("experiment.html.j2").render(page=Page(report), report=report).strip() + "\n"


def _forest(parts: Sequence[AnyResult]) -> Iterator[tuple[AnyResult, Markup]]:
    """Yields each part with its effect on a scale that all share."""
    whiskers = {
        one.metric: whisker
        for one in parts
        if isinstance(one, Result) and (whisker := _whisker(one.newest, one)) is not None
    }
    scale = common_scale(list(whiskers.values()))
    for one in parts:
        yield one, beside(whiskers[one.metric], scale) if one.metric in whiskers else Markup("")


def _whisker(reading: Reading, of: Result) -> Whisker | None:
    """Returns the mark of a look; None where there is no lift."""
    if reading.lift is None:
        return None
    interval = reading.lift_interval
    ends = None if interval is None else (interval.low, interval.high)
    said = f"{of.metric} after week {reading.week}: {signed(reading.lift)}, {interval_said(interval)}"
    tone = "" if ends is None else "more" if ends[0] > 0 else "less" if ends[1] < 0 else ""
    return Whisker(reading.lift, ends, said, reading.week, tone)


_PAGES = templates(signed=signed, within=interval_said, weeks_said=weeks_said)
