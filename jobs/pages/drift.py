"""`drift.html`: what deviates in a run, where it comes from and how to go on; then every statistic with its history."""

import datetime as dt
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from expectations.drift.checks import (
    DriftProfile,
    allowed_text,
    days_text,
    harm,
    label,
    ranked,
    sentence,
    statistic_of,
    value_text,
)
from expectations.drift.findings import Accepted, Finding
from expectations.drift.statistics import SHARE_OF, Kind
from expectations.drift_message import STATUSES, Status, statuses, ways_on
from expectations.report import GateReport
from jobs.pages.plots import plot, spark
from jobs.pages.templates import templates
from jobs.storage.drift import Decisions

_MOST = 12
"""Statistics that are shown with a plot and all that is known; the table has all."""
_WHAT: Mapping[Kind, str] = {
    "events": "events",
    "snapshot": "snapshot",
    "sources": "snapshot",
    "interactions": "made of the events",
    "factors": "the trained model",
    "lists": "the lists of this run",
    "judged": "quality on held-out events",
    "served": "the lists that serve, on the new days",
}
"""Kind of a subject, in words."""
_ORDER: Sequence[Kind] = ("events", "snapshot", "sources", "served", "interactions", "judged", "factors", "lists")
"""In which order a run measures."""
_WORDS: Mapping[Status, str] = {
    "stops": "stops the run",
    "overridden": "overridden",
    "warning": "warning",
    "learning": "learning",
    "not judged": "not judged",
    "ok": "as usual",
}


@dataclass(frozen=True)
class Row:
    """A finding and what it means for its run."""

    finding: Finding
    status: Status
    report: GateReport
    profile: DriftProfile

    @property
    def word(self) -> str:
        """The status in words."""
        return _WORDS[self.status]

    @property
    def tone(self) -> str:
        """Class of the page's styles."""
        return self.status.replace(" ", "-")

    @property
    def event(self) -> str | None:
        """The event name that it is about, if it is about one."""
        name = self.finding.name
        return name.removeprefix(SHARE_OF) if name.startswith(SHARE_OF) else None

    @property
    def what(self) -> str:
        """What its subject is, in words; of a snapshot also which one."""
        day = self.profile.snapshots.get(self.finding.subject)
        words = _WHAT[self.finding.kind]
        return f"{words} of {day}" if day and self.finding.kind in ("snapshot", "sources") else words

    @property
    def ways(self) -> list[tuple[str, str]]:
        """What may be so → the command to go on with."""
        return ways_on(self.finding, self.report, self.profile)

    @property
    def reason(self) -> str | None:
        """Why its alarm was overridden."""
        return next((one.overridden for one in self.report.expectations if one.name == self.finding.full_name), None)


@dataclass(frozen=True)
class Page:
    """All that the page says."""

    product: str
    reports: Sequence[GateReport]
    decisions: Decisions

    @property
    def run(self) -> str:
        """Id of the run."""
        return next((report.run for report in self.reports if report.run), "without an id")

    @property
    def as_of(self) -> dt.date | None:
        """Day of the run."""
        return next((report.as_of for report in self.reports if report.as_of), None)

    @cached_property
    def rows(self) -> list[Row]:
        """Every finding, the worst first."""
        found = [row for report in self.reports for row in _rows(report)]
        return sorted(found, key=lambda row: STATUSES.index(row.status))  # stable: causes stay before effects

    @property
    def alarms(self) -> list[Row]:
        """Those that deviate."""
        return [row for row in self.rows if row.status in ("stops", "overridden", "warning")]

    @property
    def first(self) -> Row | None:
        """What stops the run first; None if nothing does."""
        return next((row for row in self.rows if row.status == "stops"), None)

    @property
    def broken(self) -> list[tuple[GateReport, str]]:
        """Gates that could not judge, and why."""
        return [(report, row.observed) for report in self.reports if report.profile is None for row in report.failed]

    @property
    def tone(self) -> str:
        """Class of the page's styles for the run as a whole."""
        if self.first or self.broken:
            return "stops"
        return self.alarms[0].tone if self.alarms else "ok"

    @property
    def counts(self) -> list[tuple[str, str, int]]:
        """Tone, words and number of findings, of each status that occurs."""
        counted = Counter(row.status for row in self.rows)
        return [
            (status.replace(" ", "-"), _plural(status, counted[status]), counted[status])
            for status in STATUSES
            if counted[status]
        ]

    @property
    def learning(self) -> list[tuple[str, list[tuple[str, list[str]]]]]:
        """How much history there is → subject → names of its statistics that have no more."""
        found: dict[str, dict[str, list[str]]] = {}
        for one in (row.finding for row in self.rows if row.status == "learning"):
            found.setdefault(one.why, {}).setdefault(one.subject, []).append(one.name)
        return [(why, [*subjects.items()]) for why, subjects in sorted(found.items())]

    @property
    def subjects(self) -> list[tuple[str, str, list[Row]]]:
        """Subject, what it is, and its findings with the worst first.

        The subject of the worst alarm comes first; those without one are in the order of the run.
        """
        found: dict[tuple[str, str], list[Row]] = {}
        for row in [*self.alarms, *sorted(self.rows, key=lambda row: _ORDER.index(row.finding.kind))]:
            rows = found.setdefault((row.finding.subject, row.what), [])
            if row not in rows:
                rows.append(row)
        return [(subject, what, rows) for (subject, what), rows in found.items()]

    def moved(self, accepted: Accepted) -> str:
        """Returns by how much an accepted level differs from the one before it."""
        known = (row.finding for row in self.rows if row.finding.full_name == accepted.name)
        one = next((statistic_of(finding) for finding in known), None)
        if one is not None and one.scale in ("count", "ratio"):
            return f"{math.exp(accepted.shift):.3g} times the one before"
        return "higher than before" if accepted.shift > 0 else "lower than before"

    @property
    def users(self) -> int | None:
        """Users who would get lists of the run."""
        return next((row.profile.users for row in self.rows if row.profile.users is not None), None)


def drift_page(reports: Sequence[GateReport], decisions: Decisions, *, product: str) -> str:
    """Returns the page of a run's drift gates, those of its inputs first; of the same reports the same page."""
    page = Page(product, reports, decisions)
    return _PAGES.get_template("drift.html.j2").render(page=page, most=_MOST).strip() + "\n"


def _rows(report: GateReport) -> Iterator[Row]:
    if isinstance(report.profile, DriftProfile):
        named = {one.full_name: one for one in ranked(report.profile.findings)}
        for name, status in statuses(report, report.profile).items():
            yield Row(named[name], status, report, report.profile)


def _plural(status: Status, count: int) -> str:
    if status == "stops" and count > 1:
        return "stop the run"
    return "warnings" if status == "warning" and count > 1 else _WORDS[status]


def _change(finding: Finding) -> str:
    """Returns how far the value is from what was expected."""
    one, value, expected = statistic_of(finding), finding.value, finding.expected
    if value is None or expected is None:
        return ""
    if one is None or one.scale not in ("count", "ratio") or expected <= 0:
        return f"{value_text(finding, expected)} expected"
    if value >= 2 * expected:
        return f"{value / expected:,.1f} times the {value_text(finding, expected)} expected"
    more = "more" if value > expected else "less"
    return f"{abs(value / expected - 1):.0%} {more} than the {value_text(finding, expected)} expected".replace(
        "%", " %"
    )


def _usual(finding: Finding) -> str:
    known = finding.low is not None or finding.high is not None
    return allowed_text(finding) if known else "–"


_PAGES = templates(
    plot=plot,
    spark=spark,
    sentence=sentence,
    label=label,
    harm=harm,
    value=value_text,
    days=days_text,
    usual=_usual,
    change=_change,
)
