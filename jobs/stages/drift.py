"""The drift gates: what a run measured, judged by what its product's history allows, and remembered for later runs."""

import datetime as dt
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from expectations.drift.checks import DriftProfile
from expectations.drift.findings import Alarm, Finding
from expectations.drift.history import History, Measured
from expectations.drift.judge import Judged, judge, learned
from expectations.drift.statistics import statistic
from expectations.drift.weeks import WEEK
from expectations.gate import DriftGate, check_drift
from expectations.overrides import DRIFT_KINDS
from expectations.report import GateReport
from features.counts import Counts
from jobs.pages.drift import drift_page
from jobs.run.context import Run
from jobs.runtime.log import log, log_step
from jobs.stages.drift_table import log_list_drift
from jobs.stages.gates import passed_report, summary_of
from jobs.storage.bound_folder import BoundFolder
from jobs.storage.drift import Decisions
from jobs.storage.gate_reports import DRIFT_GATES, DRIFT_PAGE, report_file

_YEAR = 365.25
_LATEST_RUNS = 10
Days = Mapping[str, Collection[dt.date]]
"""Event dataset → days."""


@dataclass(frozen=True)
class Read:
    """The days of events, and of snapshots, that a run reads."""

    days: Days
    new: Days
    """Those that the run that serves did not read, and the latest week in any case."""
    snapshots: Mapping[str, dt.date]
    """Snapshot → day of the partition that is read."""

    @classmethod
    def nothing(cls) -> "Read":
        """Returns that of a stage that reads none."""
        return cls({}, {}, {})

    @classmethod
    def of(cls, counts: Counts, as_of: dt.date, served: dt.date | None) -> "Read":
        """Returns the days of the inputs that were counted; served: `as_of` of the run that serves."""
        windows, since = counts.windows, WEEK if served is None else max(WEEK, (as_of - served).days)
        days = {name: [one.day for one in known if one.day in windows[name]] for name, known in counts.days.items()}
        snapshots = {name: found.day for name, found in counts.snapshots.items()}
        return cls(days, {name: _latest(some, since) for name, some in days.items()}, snapshots)


def with_served(days: Days) -> Days:
    """Returns the days of each dataset and, as `served`, those of all: by these the serving model is judged."""
    return {**days, "served": sorted({day for some in days.values() for day in some})}


def _latest(days: Collection[dt.date], count: int) -> tuple[dt.date, ...]:
    """Returns those within so many days of the newest."""
    return tuple(day for day in sorted(days) if (max(days) - day).days < count)


@dataclass(frozen=True)
class Past:
    """What is known of earlier runs when a stage begins, and what was decided since; read once per stage."""

    history: History
    alarms: tuple[Alarm, ...]
    decisions: Decisions

    @classmethod
    def of(cls, run: Run) -> "Past":
        """Reads the past of the run's product. Raises DamagedHistory."""
        store = run.drift_store
        # Days that were excluded since the features began are in the run's tables.
        decisions = store.decisions().model_copy(update={"excluded": run.excluded})
        return cls(store.history(without=run.run_id), store.alarms(without=run.run_id), decisions)


def pass_drift_gate(
    run: Run, gate: DriftGate, past: Past, measure: Callable[[], Sequence[Measured]], read: Read, users: int
) -> dict[str, Any]:
    """Measures, judges and remembers one part of the run. Returns the summary for the manifest; raises GateFailed.

    Numbers, alarms and the page are kept whatever the result: the next run must know what this one saw. users: who
    would get lists of this run.
    """
    store, key = run.drift_store, f"{run.run_id}.{gate}"

    def judged() -> DriftProfile:
        measured = measure()
        history = past.history.with_measured(measured)
        case = case_of(run, past, read)
        found = judge(history, case, [one.key for one in measured])
        findings = (*(_with_note(one, history) for one in found), *_not_measured(case, gate, past.history, measured))
        store.keep(key, measured)
        store.keep_alarms(key, [alarm_of(one, run.run_id) for one in findings if one.state == "alarm"])
        return DriftProfile(findings=findings, users=users, snapshots=dict(read.snapshots))

    overrides, limits = run.manifest.request.overrides, run.settings.gates
    try:
        report = passed_report(
            run, lambda: check_drift(gate, judged, limits, overrides, as_of=run.as_of, run=run.run_id)
        )
    finally:
        write_page(run.folder, gate, past.decisions, run.settings.product)
        if gate == "list_drift":  # that of the inputs is logged when the factors are registered
            log_list_drift(run)
    assert isinstance(report.profile, DriftProfile)
    return {**summary_of(report), **_facts(report.profile.findings, past.decisions)}


def _with_note(finding: Finding, history: History) -> Finding:
    """Returns the finding with what was noted with the number of its newest day."""
    if not finding.days:
        return finding
    key = finding.kind, finding.subject, finding.name
    return finding.model_copy(update={"note": history.note(key, max(finding.days))})


def _not_measured(case: Judged, gate: DriftGate, past: History, measured: Sequence[Measured]) -> Iterator[Finding]:
    """Yields a finding for each statistic that the latest runs had and this one lacks, e.g. without any known user.

    Those of datasets that the run does not have are no loss.
    """
    subjects, known = {"served"} | {one.subject for one in measured}, {one.key for one in measured}
    for key in past.keys:
        kind, subject, name = key
        one = statistic(kind, name)
        if one is None or kind not in DRIFT_KINDS[gate] or subject not in subjects or key in known:
            continue
        mode = case.mode_of(key, one)
        if mode != "off" and (case.as_of - past.series(key).days[-1].item()).days <= 2 * WEEK:
            why = "this run could not measure it"
            yield Finding(kind=kind, subject=subject, name=name, mode=mode, state="not judged", why=why)


def write_page(folder: BoundFolder, judged: DriftGate, decisions: Decisions, product: str) -> None:
    """Writes the page of the drift gates up to `judged` into a run's folder; the run is as good without it."""
    try:
        files = [report_file(gate) for gate in DRIFT_GATES[: DRIFT_GATES.index(judged) + 1]]
        reports = [GateReport.from_json(folder.read_bytes(file).decode()) for file in files if folder.exists(file)]
        folder.write_bytes(DRIFT_PAGE, drift_page(reports, decisions, product=product).encode())
        log_step("gate", f"{judged}: each statistic with its history is in {folder.uri}/{DRIFT_PAGE}")
    except Exception as error:  # noqa: BLE001 - a page that cannot be drawn must not hide what the gate said
        log.warning("warning   %s could not be written (%s: %s)", DRIFT_PAGE, type(error).__name__, error)


def learned_limits(run: Run, past: Past, read: Read) -> frozenset[str]:
    """Returns the full names of the statistics whose learned limits take the place of fixed ones in this run."""
    return learned(past.history, case_of(run, past, read))


def case_of(run: Run, past: Past, read: Read) -> Judged:
    """Returns what is new in the run and what is known besides the numbers."""
    gates = run.settings.gates
    return Judged(
        as_of=run.as_of,
        new_days=with_served(read.new),
        read_days=with_served(read.days),
        false_alarms_per_year=gates.false_alarms_per_year,
        runs_per_year=_YEAR / _usual_gap(past.history),
        modes=gates.drift,
        known_days=gates.known_days,
        accepted=past.decisions.accepted,
        excluded=past.decisions.excluded,
        alarms=past.alarms,
    )


def alarm_of(finding: Finding, run_id: str) -> Alarm:
    """Returns the alarm that later runs remember."""
    fields = finding.model_dump(include={*Alarm.model_fields} - {"run", "runs"})
    return Alarm(run=finding.since or run_id, runs=finding.runs, **fields)


def _usual_gap(history: History) -> float:
    """Returns the usual number of days between two runs; a week while there are none."""
    days = sorted(
        {day for key in history.keys if key[0] == "interactions" for day in history.series(key).days.tolist()}
    )
    gaps = [(later - earlier).days for earlier, later in pairwise(days)][-_LATEST_RUNS:]
    return max(1.0, median(gaps)) if gaps else float(WEEK)


def _facts(findings: Sequence[Finding], decisions: Decisions) -> dict[str, Any]:
    """Returns what the manifest says of the findings, and of the decisions that they rest on."""
    return {
        "alarms": {one.full_name: one.mode for one in findings if one.state == "alarm"},
        "learning": sum(one.state == "learning" for one in findings),
        "judged": sum(one.state in ("ok", "alarm") for one in findings),
        "accepted": [one.model_dump(mode="json") for one in decisions.accepted],
        "excluded": [one.model_dump(mode="json") for one in decisions.excluded],
    }
