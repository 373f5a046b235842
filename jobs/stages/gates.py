"""The baselines of the gates, and where their reports are kept."""

from collections.abc import Callable
from typing import Any

from conf.errors import Refused
from expectations.errors import GateFailed
from expectations.inputs import InputProfile, ServedInputs
from expectations.report import Gate, GateReport, Profile
from expectations.suite import begin_import
from jobs.run.context import Run
from jobs.run.manifest import KeptRun, run_folder
from jobs.runtime.log import log_step
from jobs.storage.bound_folder import MANIFEST, BoundFolder
from jobs.storage.gate_reports import CHAMPION_INTERACTIONS, report_file

_RESTORE = "restore that folder, or set DISCOVERY_HOME to the work folder that made it"


class BaselineMissing(Refused):
    """The folder of the serving run is gone, with which this run must be compared."""


INPUT_FACT = "input_gate"
"""Name of the fact that holds the summary of the gate on inputs."""

"""Report of the gate on interactions by the champion's recipe, if that is another one."""


def read_report(folder: BoundFolder, gate: Gate) -> GateReport | None:
    """Returns a gate's report; None if the gate has not judged the run. Raises ChangedSince."""
    return _read(folder, report_file(gate))


def _read(folder: BoundFolder, file: str) -> GateReport | None:
    return GateReport.from_json(folder.read_bound(file).decode()) if folder.exists(file) else None


def served_inputs(run: Run) -> ServedInputs | None:
    """Returns the input profile of the run that served when this one was created; None for a first run."""
    kept = _served(run)
    if kept is None:
        return None
    day, before = kept.manifest.request.as_of, kept.manifest.request.run_id
    if INPUT_FACT not in kept.manifest.stages["features"].facts:
        return ServedInputs(day, f"no baseline: run {before} is from before this was counted")
    profile = baseline_of(run, "inputs")
    return ServedInputs(day, profile if isinstance(profile, InputProfile) else f"no baseline in run {before}")


def baseline_of(run: Run, gate: Gate) -> Profile | None:
    """Returns the profile that the gate measured for the run that served before; None for a first run."""
    kept = _served(run)
    if kept is None:
        return None
    file = CHAMPION_INTERACTIONS if gate == "interactions" and _kept_recipe(kept) else report_file(gate)
    report = _read(kept.folder, file)
    if report is None:
        raise _missing(run, kept.manifest.request.run_id, file)
    return report.profile


def _served(run: Run) -> KeptRun | None:
    """Returns the run that served when this one was created; None for a first run. Raises BaselineMissing."""
    before = run.manifest.serving_before
    if before is None:
        return None
    kept = run.kept_run(before)
    if kept is None:
        raise _missing(run, before, MANIFEST)
    return kept


def _missing(run: Run, before: str, file: str) -> BaselineMissing:
    where = f"{run_folder(run.home, run.settings.product, before).uri}/{file}"
    return BaselineMissing(f"run {before} serves, but {where} is not there to compare with; {_RESTORE}")


def _kept_recipe(kept: KeptRun) -> bool:
    """Returns whether the run's lists are by the champion's interactions instead of its own."""
    if not kept.folder.exists(CHAMPION_INTERACTIONS):
        return False
    return bool(kept.manifest.fact("train", "decision")["winner"] == "champion")


def need_baselines(run: Run) -> None:
    """Raises BaselineMissing if a gate would have nothing to compare the run with, before hours of work."""
    served_inputs(run)
    baseline_of(run, "interactions")
    baseline_of(run, "lists")
    begin_import()  # of what the gates judge with


def pass_gate(run: Run, judge: Callable[[], GateReport], file: str | None = None) -> dict[str, Any]:
    """Runs the gate and writes its report, also when it fails. Returns the summary for the manifest."""
    return summary_of(passed_report(run, judge, file))


def passed_report(run: Run, judge: Callable[[], GateReport], file: str | None = None) -> GateReport:
    """Runs the gate and writes its report, also when it fails. Returns the report."""
    try:
        report = judge()
    except GateFailed as failure:
        _keep_report(run, failure.report, file)
        raise
    _keep_report(run, report, file)
    return report


def _keep_report(run: Run, report: GateReport, file: str | None) -> None:
    """Writes the report into the run's folder and logs its result."""
    run.folder.write_bytes(file or report_file(report.gate), report.to_json().encode())
    found = summary_of(report)
    log_step(
        "gate",
        f"{report.gate}: {'passed' if report.passed else 'FAILED'} ({found['passed']} held, {found['failed']} failed, "
        f"{found['skipped']} skipped, {len(found['overridden'])} overridden)",
    )


def summary_of(report: GateReport) -> dict[str, Any]:
    """Returns what the manifest says of a gate."""
    counts = {word: sum(row.status == word for row in report.expectations) for word in ("ok", "skipped")}
    lifted = {row.name: row.overridden for row in report.expectations if row.overridden is not None}
    return {"passed": counts["ok"], "failed": len(report.failed), "skipped": counts["skipped"], "overridden": lifted}
