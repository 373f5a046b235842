"""What the drift gates found of a run, for its run in MLflow: metrics, all of it as JSON, and the page."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from conf.errors import DiscoveryError
from expectations.drift.checks import DriftProfile
from expectations.drift.findings import Finding
from expectations.drift.metrics import PREFIX, drift_metrics
from expectations.gate import DriftGate
from expectations.report import Gate, GateReport
from jobs.run.context import Run
from jobs.runtime.log import log
from jobs.storage.gate_reports import DRIFT_GATES, DRIFT_PAGE, report_file

TABLE = "drift.json"
"""The reports of the drift gates by their names."""


@dataclass(frozen=True)
class DriftTable:
    """The drift of a run up to some gate."""

    metrics: Mapping[str, float]
    files: Mapping[str, bytes]

    @classmethod
    def of(cls, run: Run, gate: DriftGate) -> "DriftTable":
        """Returns the metrics of a gate, and the files of all that judged the run; nothing without its report.

        Numbers of alarms and of what is learning are those of all gates so far.
        """
        reports = {name: run.folder.read_bytes(report_file(name)) for name in DRIFT_GATES if _has(run, name)}
        findings = {name: _findings(content) for name, content in reports.items()}
        if gate not in findings:
            return cls({}, {})
        states = [one.state for some in findings.values() for one in some]
        counts = {f"{PREFIX}alarms": states.count("alarm"), f"{PREFIX}learning": states.count("learning")}
        table = json.dumps({name: json.loads(content) for name, content in reports.items()}, indent=1).encode()
        page = {DRIFT_PAGE: run.folder.read_bytes(DRIFT_PAGE)} if run.folder.exists(DRIFT_PAGE) else {}
        return cls({**drift_metrics(findings[gate]), **counts}, {TABLE: table, **page})

    def save(self, folder: Path) -> None:
        """Writes the files into a local folder, which is made."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.files.items():
            Path(folder, name).write_bytes(content)


def log_list_drift(run: Run) -> None:
    """Logs the drift of the lists with the run's factors in MLflow, also of lists that do not pass.

    What cannot be logged is a warning: the gate's result is the one that counts.
    """
    if "train" not in run.manifest.stages or run.is_popular:
        return
    try:
        table = DriftTable.of(run, "list_drift")
        if not table.files:
            return
        folder = run.scratch / "drift"
        table.save(folder)
        run.servers.registry.log_more(run.manifest.fact("train", "model")["mlflow_run"], table.metrics, folder)
    except (DiscoveryError, OSError, ValueError) as error:
        log.warning("warning   MLflow does not have the drift of the lists: %s", error)


def _has(run: Run, gate: Gate) -> bool:
    return run.folder.exists(report_file(gate))


def _findings(content: bytes) -> tuple[Finding, ...]:
    """Returns the findings in a report; none where the gate could not measure."""
    profile = GateReport.from_json(content.decode()).profile
    return profile.findings if isinstance(profile, DriftProfile) else ()
