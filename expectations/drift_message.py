"""What a stopped drift gate tells the person on call: the first cause, who is concerned, and how to go on."""

import datetime as dt
from collections.abc import Sequence
from typing import Literal

from conf.experiment import CONTROL_SUFFIX
from expectations.drift.checks import DriftProfile, harm, ranked, sentence, statistic_of
from expectations.drift.findings import Finding
from expectations.drift.statistics import OF_DATA
from expectations.drift.weeks import WEEK
from expectations.report import GateReport

Status = Literal["stops", "overridden", "warning", "learning", "not judged", "ok"]
"""What a finding means for its run, the worst first; `warning` is an alarm that only reports."""
STATUSES: tuple[Status, ...] = ("stops", "overridden", "warning", "learning", "not judged", "ok")
_MOST = 8
"""Further alarms that are listed; the report has all."""


def drift_message(report: GateReport, profile: DriftProfile) -> str:
    """Returns the message of a drift gate that failed."""
    first, *others = causes(report, profile)
    lines = [
        f"gate {report.gate}: run {report.run} is stopped, what serves goes on to serve",
        f"  {sentence(first)}",
        f"  guards against: {harm(first)}{_concerned(profile)}",
        *_further(others),
        "Have wrong data delivered again and start a new run, or:",
        *_aligned(ways_on(first, report, profile)),
    ]
    return "\n".join(lines)


def causes(report: GateReport, profile: DriftProfile) -> list[Finding]:
    """Returns the findings that stop the run, the most probable cause first."""
    names = {row.name for row in report.failed}
    return [one for one in ranked(profile.findings) if one.full_name in names]


def statuses(report: GateReport, profile: DriftProfile) -> dict[str, Status]:
    """Returns full name → status of each finding, the worst first, and of those the most probable cause."""
    rows = {row.name: row for row in report.expectations}
    found: dict[str, Status] = {}
    for one in ranked(profile.findings):
        row = rows.get(one.full_name)
        judged = None if row is None else row.status
        if judged == "FAILED":
            found[one.full_name] = "stops"
        elif judged == "overridden":
            found[one.full_name] = "overridden"
        else:
            found[one.full_name] = "warning" if one.state == "alarm" else one.state
    return dict(sorted(found.items(), key=lambda item: STATUSES.index(item[1])))


def _concerned(profile: DriftProfile) -> str:
    return "" if profile.users is None else f". {profile.users:,} users would get lists made of it"


def _further(others: Sequence[Finding]) -> list[str]:
    if not others:
        return []
    more = f" … and {len(others) - _MOST} more" if len(others) > _MOST else ""
    return [f"  also: {', '.join(one.full_name for one in others[:_MOST])}{more}"]


def ways_on(first: Finding, report: GateReport, profile: DriftProfile) -> list[tuple[str, str]]:
    """Returns what may be so → the command to go on with."""
    partition = profile.snapshots.get(first.subject)
    days = " ".join(map(str, _days(first) if partition is None else [partition]))
    ways = [("look at it", f"discovery drift show {report.run}")]
    own = " --control" if first.kind not in OF_DATA and str(report.run).endswith(CONTROL_SUFFIX) else ""
    if first.kind in OF_DATA:
        ways.append(("the data are wrong", f'discovery drift exclude {first.subject} {days} --reason "…"'))
    ways.append(("it is really so", f'discovery drift accept {first.full_name}{own} --reason "…"'))
    ways.append(("only this once", f'start a new run with --override {first.full_name}="…"'))
    return ways


def _days(finding: Finding) -> Sequence[dt.date]:
    """Returns the days that the finding is about; a number about a week has only its last."""
    one = statistic_of(finding)
    if one is None or one.grain != "week":
        return finding.days
    return [max(finding.days) - dt.timedelta(days=back) for back in range(WEEK)[::-1]]


def _aligned(ways: Sequence[tuple[str, str]]) -> list[str]:
    width = max(len(what) for what, _ in ways)
    return [f"  {what:<{width}}  {how}" for what, how in ways]
