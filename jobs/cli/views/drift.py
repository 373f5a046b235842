"""How drift looks: text for a person, and the same as JSON."""

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from typing import Any

from conf.experiment import CONTROL_SUFFIX
from expectations.drift.checks import allowed_text, found_text, harm, label, sentence, value_text
from expectations.drift.findings import Accepted, Excluded, Finding
from expectations.drift.history import Key, Series
from expectations.drift_message import ways_on
from expectations.report import GateReport
from jobs.cli.drift_findings import Judged
from jobs.cli.views.view import View, table, utc_text
from jobs.storage.drift import Decisions

_DEVIATES = ("stops", "overridden", "warning")


def findings(
    reports: Sequence[GateReport],
    found: Sequence[Judged],
    page: str | None,
    control: Sequence[GateReport] = (),
    *,
    everything: bool,
) -> View:
    """Returns the findings of a run, the worst first; control: the reports of the control beside it."""
    shown = [one for one in found if everything or one.status in _DEVIATES]
    first = next((one for one in found if one.status == "stops"), None)
    others = Counter(f"{one.status} ({one.finding.why})" if one.finding.why else one.status for one in found)
    hidden = [f"{count} {status}" for status, count in others.items() if not status.startswith(_DEVIATES)]
    lines = _verdict(reports, first)
    if control:
        lines.append(f"its control: {_verdict(control, None)[0]}; discovery drift show {control[0].run}")
    if shown:
        header = ("", "statistic", "found", "usual range", "since")
        lines += ["", table([_row(one) for one in shown], header)]
    if hidden and not everything:
        lines.append(f"{', '.join(hidden)}: --all shows them")
    if first is not None:
        ways = [way for way in ways_on(first.finding, first.report, first.profile) if "drift show" not in way[1]]
        lines += ["", "have wrong data delivered again and start a new run, or:", table(ways, indent=2)]
    if page:
        lines += ["", f"with plots: {page}"]
    data = {
        "run": reports[0].run,
        "as_of": reports[0].as_of,
        "gates": _gates(reports),
        "first": None if first is None else sentence(first.finding),
        "users": next((one.profile.users for one in found), None),
        "page": page,
        "control": {"run": control[0].run, "gates": _gates(control)} if control else None,
        "findings": [_finding(one) for one in found],
    }
    return View("\n".join(lines), data)


def past(found: Judged) -> View:
    """Returns the weeks or runs of a finding, the oldest first."""
    one = found.finding
    rows = [
        (str(week.day), value_text(one, week.found), "–" if week.low is week.high is None else allowed_text(one, week))
        for week in one.past
    ]
    lines = [f"{one.full_name}: {label(one)}, by run {found.report.run}"]
    if harm(one):
        lines.append(f"guards against: {harm(one)}")
    lines += [table(rows, ("day", "found", "usual range")), f"{found.status}: {_now_text(found)}"]
    data = {**_finding(found), "run": found.report.run, "past": [week.model_dump(mode="json") for week in one.past]}
    return View("\n".join(lines), data)


def measured(key: Key, series: Series) -> View:
    """Returns the numbers of a statistic that no report of the latest runs has."""
    kind, subject, name = key
    one = Finding(kind=kind, subject=subject, name=name, mode="off", state="not judged")
    known = list(zip(series.days.tolist(), series.values.tolist(), strict=True))
    head = f"{one.full_name}: {label(one)}; measured, and judged by none of the latest runs"
    rows = [(str(day), value_text(one, value)) for day, value in known]
    past_weeks = [{"day": str(day), "found": value, "low": None, "high": None} for day, value in known]
    return View(f"{head}\n{table(rows, ('day', 'found'))}", {"name": one.full_name, "run": None, "past": past_weeks})


def accepted(decision: Accepted, finding: Finding) -> View:
    """Returns that a level was accepted, and what follows."""
    own = " --control" if decision.run is not None and decision.run.endswith(CONTROL_SUFFIX) else ""
    lines = [
        f"accepted  {sentence(finding)}",
        f"          by {decision.by}: {decision.reason}",
        f"next      that level is the usual one since {min(decision.days)}; the next run is silent about it: start one",
        f"undo      discovery drift accept {decision.name}{own} --undo",
    ]
    return View("\n".join(lines), {"accepted": decision.model_dump(mode="json")})


def no_longer_accepted(decision: Accepted) -> View:
    """Returns that an accepted level is not the usual one any more."""
    lines = [
        f"taken back  the level of {decision.name} since {min(decision.days)}",
        f"            accepted by {decision.by}: {decision.reason}",
        "next        its alarm is raised again as long as a run reads those days",
    ]
    return View("\n".join(lines), {"taken_back": decision.model_dump(mode="json")})


def excluded(some: Sequence[Excluded], then: str, *, stops: bool) -> View:
    """Returns that days are left out, and what the next run does."""
    one, days = some[0], " ".join(str(each.day) for each in some)
    lines = [
        f"excluded  {one.dataset} {days}",
        f"          by {one.by}: {one.reason}",
        f"next      {'the next run will stop, as said in the warning' if stops else then}",
        f"undo      discovery drift exclude {one.dataset} {days} --undo, e.g. when they are delivered again",
    ]
    data = {"excluded": [each.model_dump(mode="json") for each in some], "next": then, "next_run_stops": stops}
    return View("\n".join(lines), data)


def no_longer_excluded(some: Sequence[Excluded]) -> View:
    """Returns that days are read again."""
    days = " ".join(str(each.day) for each in some)
    text = f"taken back  {some[0].dataset} {days} is read again by the next run, and judged"
    return View(text, {"taken_back": [each.model_dump(mode="json") for each in some]})


def decisions(held: Decisions) -> View:
    """Returns what holds, the oldest first."""
    rows = [("excluded", one.dataset, str(one.day), one.by, utc_text(one.at), one.reason) for one in held.excluded]
    rows += [
        ("accepted", one.name, f"since {min(one.days)}", one.by, utc_text(one.at), one.reason) for one in held.accepted
    ]
    header = ("decision", "of", "days", "by", "at", "why")
    return View(
        table(sorted(rows, key=lambda row: row[4]), header) or "nothing is excluded, and no new level was accepted",
        held.model_dump(mode="json"),
    )


def _gates(reports: Sequence[GateReport]) -> dict[str, str]:
    return {report.gate: "passed" if report.passed else "FAILED" for report in reports}


def _verdict(reports: Sequence[GateReport], first: Judged | None) -> list[str]:
    report = next((one for one in reports if not one.passed), reports[-1])
    said = "passed" if report.passed else f"STOPPED by gate {report.gate}"
    lines = [f"run {report.run}, as of {report.as_of}: {said}"]
    if first is not None:
        users = "" if first.profile.users is None else f". {first.profile.users:,} users would get lists made of it"
        lines += [f"  {sentence(first.finding)}", f"  guards against: {harm(first.finding)}{users}"]
    lines += [f"  {row.name}: {row.observed}" for one in reports if one.profile is None for row in one.failed]
    return lines


def _row(one: Judged) -> tuple[str, ...]:
    finding = one.finding
    known = finding.low is not None or finding.high is not None
    usual = allowed_text(finding) if known else "–"
    if one.status in ("learning", "not judged"):
        usual = f"{usual} ({finding.why})" if known else finding.why
    return (one.status, finding.full_name, found_text(finding), usual, _since(finding))


def _since(finding: Finding) -> str:
    if finding.since is None:
        return _days(finding.days)
    return f"{_days(finding.days)}, for {finding.runs} runs, since run {finding.since}"


def _days(days: Sequence[dt.date]) -> str:
    if not days:
        return ""
    return str(min(days)) if len(days) == 1 else f"{min(days)} to {max(days)}"


def _now_text(found: Judged) -> str:
    finding = found.finding
    if found.status in ("learning", "not judged"):
        return f"{finding.why}; the fixed limits of the other gates hold" if found.status == "learning" else finding.why
    return sentence(finding)


def _finding(one: Judged) -> dict[str, Any]:
    finding = one.finding
    fields = finding.model_dump(mode="json", exclude={"past", "made_of"})
    return {"name": finding.full_name, "status": one.status, "statistic": finding.name, "label": label(finding)} | {
        name: value for name, value in fields.items() if name != "name"
    }
