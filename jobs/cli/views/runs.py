"""How runs, what serves, and changes of them look."""

from collections.abc import Sequence
from typing import Any

from conf.share import EVERYBODY
from jobs.cli.views.view import NOTHING, View, table, utc_text
from publish.operate.control import RunReport, ShareReport
from publish.operate.wait import RunEnding, Waited
from publish.runs.pointer import Pointer
from publish.runs.run import RegisteredRun, UnreadableRun

UNREADABLE = "UNREADABLE"
"""State of a run whose record this version cannot read."""


def runs(reports: Sequence[RunReport], unreadable: Sequence[UnreadableRun] = ()) -> View:
    """Returns one line per run, and per record that cannot be read."""
    rows = [_run_row(report) for report in reports]
    rows += [(run.name, "", UNREADABLE, "", "", "", run.why) for run in unreadable]
    text = (
        table(rows, ("run", "as of", "state", "serves as", "lists", "share", "why"))
        if rows
        else "no run was announced yet"
    )
    data = [{"run": run.name, "epoch": run.epoch, "state": UNREADABLE, "reason": run.why} for run in unreadable]
    return View(text, [report_data(report) for report in reports] + data)


def waited(run: str, result: Waited) -> View:
    """Returns how waiting ended."""
    word = {
        RunEnding.SERVING: "serves",
        RunEnding.HELD: "is complete and held",
        RunEnding.FAILED: "FAILED",
        RunEnding.DEADLINE: "did not serve in time",
    }[result.ending]
    text = f"run {run} {word}{': ' + result.reason if result.reason else ''}"
    return View(text, {"run": run, "outcome": result.ending.name, "reason": result.reason})


def pointer(now: Pointer) -> View:
    """Returns the pointer after a change."""
    text = f"{serving_line(now, None)}\nhold          {hold_text(now)}"
    return View(text, now.model_dump(mode="json"))


def share(report: ShareReport) -> View:
    """Returns the share after a change, and why it is not the one asked for."""
    text = f"{report.served} of the audience are served by {report.pointer.treatment or NOTHING}"
    if report.pointer.control is not None:
        text += f", the others by {report.pointer.control}"
    if report.served != report.asked:
        text += f"; {report.asked} were asked for, and that run covers {report.covered}"
    data = {"served_bp": report.served.bp, "asked_bp": report.asked.bp, "covered_bp": report.covered.bp}
    return View(text, {**data, "pointer": report.pointer.model_dump(mode="json")})


def verified(run: RegisteredRun, faults: Sequence[str]) -> View:
    """Returns what reading a run back found."""
    announced = run.announcement
    text = f"run {run.name} is whole: {announced.users:,} lists in {announced.partitions} partitions, as announced"
    if announced.control is not None:
        text += f"; so is its control, run {announced.control}"
    if faults:
        text = f"run {run.name} ({run.state}) differs from what was announced:\n" + "\n".join(faults)
    return View(text, {"run": run.name, "state": run.state, "whole": not faults, "faults": list(faults)})


def cleared(run: str) -> View:
    """Returns a run whose lists are gone."""
    return View(f"the lists of run {run} are deleted", {"run": run, "cleared": True})


def serving_line(now: Pointer, run: RegisteredRun | None) -> str:
    """Returns what serves to whom since when."""
    if now.treatment is None:
        return "serves        nothing yet"
    since = "" if now.serving_since is None else f", since {utc_text(now.serving_since)}"
    users = "" if run is None else f", {run.announcement.users:,} lists as of {run.announcement.as_of}"
    capped = f" (capped at {now.cap_bp})" if now.cap_bp < EVERYBODY else ""
    return f"serves        {now.treatment} to {now.share_bp}{capped}{users}{since}"


def hold_text(now: Pointer) -> str:
    """Returns the hold and its reason."""
    return NOTHING if now.hold is None else f"since {utc_text(now.hold.since)}: {now.hold.reason}"


def _run_row(report: RunReport) -> tuple[str, ...]:
    announced, state = report.run.announcement, report.run.status
    why = next((text for text in (state.reason, state.held) if text is not None), "")
    role = report.serves_as if report.serves_as is not None else "(control)" if announced.role == "control" else ""
    covered = str(announced.share_bp)
    return (announced.run, str(announced.as_of), str(state.state), role, f"{announced.users:,}", covered, why)


def run_data(run: RegisteredRun) -> dict[str, Any]:
    """Returns one run as data."""
    announced = run.announcement
    return {
        "run": announced.run,
        "as_of": str(announced.as_of),
        "epoch": announced.epoch,
        "lists": announced.users,
        "bytes": announced.total_bytes,
        "share_bp": int(announced.share_bp),
        "scheduled": announced.scheduled,
        "role": announced.role,
        "control": announced.control,
        **run.status.model_dump(mode="json"),
    }


def report_data(report: RunReport) -> dict[str, Any]:
    """Returns one run with its partitions as data."""
    parts = [
        {"partition": p.partition, "state": p.state, "count": p.count, "loaded": p.loaded} for p in report.partitions
    ]
    return {**run_data(report.run), "serves_as": report.serves_as, "partitions": parts}
