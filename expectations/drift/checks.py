"""The expectations of a drift gate, and the sentence that says what is wrong."""

import datetime as dt
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from conf.base import Strict
from expectations.checks import Between, Check, Skip
from expectations.drift.findings import Finding, Point
from expectations.drift.statistics import Statistic, statistic

BESIDE_OTHERS = frozenset({"users_elsewhere", "users_subscribed", "followed", "unknown_sources", "closed_sources"})
"""Statistics of a dataset that another one can change."""

NOTHING = 1e-6
"""Values up to this are 0, of which a scale has no logarithm."""


class DriftProfile(Strict):
    """What was found of a run's statistics."""

    kind: Literal["drift"] = "drift"
    """Distinguishes profiles in JSON."""
    findings: tuple[Finding, ...]
    """One per statistic, in the order of their names."""
    users: int | None = None
    """Users who would get lists of this run; None: not known."""
    snapshots: dict[str, dt.date] = Field(default_factory=dict)
    """Snapshot → day of the partition that was read."""


def drift_checks(profile: DriftProfile) -> list[Check]:
    """Returns an expectation for each finding; those that do not stop the run are skipped, and why."""
    return [_check(finding) for finding in ranked(profile.findings)]


def ranked(findings: Sequence[Finding]) -> list[Finding]:
    """Returns findings with the most probable cause first: what blocks, then causes before effects, then by p."""
    return sorted(findings, key=lambda one: (not one.blocks, one.state != "alarm", _depth(one), one.p, one.full_name))


def _depth(finding: Finding) -> int:
    """Returns 0 for what a dataset says by itself, 1 for what it says beside others, 2 for what was made of them."""
    if finding.kind not in ("events", "snapshot", "sources"):
        return 2
    return int(finding.name in BESIDE_OTHERS)


def _check(finding: Finding) -> Check:
    if finding.state in ("learning", "not judged"):
        return Skip(finding.full_name, f"{finding.state}: {finding.why}")
    if finding.state == "alarm" and not finding.blocks:
        return Skip(finding.full_name, f"warning: {sentence(finding)}")
    low, high = (None if bound is None else bound for bound in (finding.low, finding.high))
    return Between(finding.full_name, finding.value, low, high, detail=when(finding))


def sentence(finding: Finding) -> str:
    """Returns what is wrong, e.g. "clicks: 12,400 events a day, 2026-11-09 to 2026-11-15, where 30,100 to 41,000 …"."""
    found, allowed = found_text(finding), allowed_text(finding)
    return f"{finding.subject}: {label(finding)} {found} {when(finding)}, where {allowed} is usual"


def label(finding: Finding) -> str:
    """Returns the statistic in words."""
    one = statistic_of(finding)
    return finding.name if one is None else one.label


def harm(finding: Finding) -> str:
    """Returns what it does to lists."""
    one = statistic_of(finding)
    return "" if one is None else one.harm


def statistic_of(finding: Finding) -> Statistic | None:
    """Returns the statistic, None for one of newer code."""
    return statistic(finding.kind, finding.name)


def when(finding: Finding) -> str:
    """Returns the days, and since when, e.g. "on 2026-11-12, for 3 runs, since run 20261109T…"."""
    if finding.since is None:
        return days_text(finding)
    return f"{days_text(finding)}, for {finding.runs} runs, since run {finding.since}"


def days_text(finding: Finding) -> str:
    """Returns the days, e.g. "on the days 2026-11-09 to 2026-11-15"; of a snapshot or a run "as of" one."""
    one, (first, last) = statistic_of(finding), (min(finding.days), max(finding.days))
    if finding.kind not in ("events", "served"):
        return f"as of {last}"
    if one is not None and one.grain == "week":
        return f"in the week up to {last}"
    return f"on {first}" if first == last else f"on the days {first} to {last}"


def allowed_text(finding: Finding, week: Point | None = None) -> str:
    """Returns the allowed values, of the finding or of one of its weeks, e.g. "30,100 to 41,000"."""
    limits = finding if week is None else week
    low, high = value_text(finding, limits.low), value_text(finding, limits.high)
    if limits.low is None:
        return "unknown" if limits.high is None else f"at most {high}"
    return f"at least {low}" if limits.high is None else f"{low} to {high}"


def found_text(finding: Finding) -> str:
    """Returns what was found, and of which one, e.g. "0.02 (PL)"."""
    found = value_text(finding, finding.value)
    return f"{found} ({finding.note})" if finding.note else found


def value_text(finding: Finding, value: float | None) -> str:
    """Returns a value as a person would write it: a share in percent, a count without a fraction."""
    if value is None:
        return "unknown"
    one = statistic_of(finding)
    if one is not None and one.scale == "share":
        return f"{value:.1%}".replace("%", " %") if value >= 0.001 else f"{100 * value:.2g} %"
    if abs(value) <= NOTHING:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def days_of(findings: Sequence[Finding]) -> tuple[dt.date, ...]:
    """Returns every day of these findings, oldest first."""
    return tuple(sorted({day for finding in findings for day in finding.days}))
