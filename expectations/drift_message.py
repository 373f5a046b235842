"""What a stopped drift gate tells the person on call: the first cause, who is concerned, and how to go on."""

from collections.abc import Sequence

from expectations.drift.checks import DriftProfile, harm, ranked, sentence
from expectations.drift.findings import Finding
from expectations.report import GateReport

_MOST = 8
"""Further alarms that are listed; the report has all."""


def drift_message(report: GateReport, profile: DriftProfile) -> str:
    """Returns the message of a drift gate that failed."""
    names = {row.name for row in report.failed}
    first, *others = [one for one in ranked(profile.findings) if one.full_name in names]
    lines = [
        f"gate {report.gate}: run {report.run} is stopped, what serves goes on to serve",
        f"  {sentence(first)}",
        f"  guards against: {harm(first)}{_concerned(profile)}",
        *_further(others),
        *_ways_on(first, report, profile),
    ]
    return "\n".join(lines)


def _concerned(profile: DriftProfile) -> str:
    return "" if profile.users is None else f". {profile.users:,} users would get lists made of it"


def _further(others: Sequence[Finding]) -> list[str]:
    if not others:
        return []
    more = f" … and {len(others) - _MOST} more" if len(others) > _MOST else ""
    return [f"  also: {', '.join(one.full_name for one in others[:_MOST])}{more}"]


def _ways_on(first: Finding, report: GateReport, profile: DriftProfile) -> list[str]:
    partition = profile.snapshots.get(first.subject)
    days = " ".join(map(str, first.days if partition is None else [partition]))
    ways = [("look at it", f"discovery drift show {report.run}")]
    if first.kind in ("events", "snapshot", "sources"):
        ways.append(("the data are wrong", f'discovery drift exclude {first.subject} {days} --reason "…"'))
    ways.append(("it is really so", f'discovery drift accept {first.full_name} --reason "…"'))
    ways.append(("only this once", f'start a new run with --override {first.full_name}="…"'))
    width = max(len(what) for what, _ in ways)
    return [
        "Have wrong data delivered again and start a new run, or:",
        *(f"  {what:<{width}}  {how}" for what, how in ways),
    ]
