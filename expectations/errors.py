"""Errors of a gate.

Refused                         exit code 2
└── ExpectationsError
    ├── GateFailed              an expectation failed, raised or hung; holds the report
    ├── MeasureError            a table cannot be measured at all; reported as a failed gate
    ├── GateTimeout             measuring or judging took too long; reported as a failed gate
    └── OverrideRefused         also a ConfigError (exit code 2): an override of what does not exist or cannot be lifted
"""

from conf.errors import ConfigError, Refused
from expectations.drift.checks import DriftProfile
from expectations.drift_message import drift_message
from expectations.report import ExpectationResult, GateReport, table
from expectations.stopped import stopped_by


class ExpectationsError(Refused):
    """A gate failed."""


class MeasureError(ExpectationsError):
    """A table lacks a column that must be measured."""


class GateTimeout(ExpectationsError):
    """A gate took longer than its time limit."""


class OverrideRefused(ExpectationsError, ConfigError):
    """An override names no expectation or one that cannot be lifted, or has no reason."""


class GateFailed(ExpectationsError):
    """A gate failed; `report` has every expectation, the message the failed ones and what to do."""

    def __init__(self, report: GateReport) -> None:
        self.report = report
        self.stopped = stopped_by(report)
        if isinstance(report.profile, DriftProfile):
            super().__init__(drift_message(report, report.profile))
            return
        failed = report.failed
        head = f"gate {report.gate}: {len(failed)} of {len(report.expectations)} expectations failed"
        super().__init__(f"{head}{_where(report)}\n  {self.stopped.cause}\n{table(failed)}\n{_advice(failed)}")


def _where(report: GateReport) -> str:
    facts = [f"run {report.run}"] if report.run else []
    facts += [f"as of {report.as_of}"] if report.as_of else []
    return f" ({', '.join(facts)}); nothing is published" if facts else "; nothing is published"


def _advice(failed: tuple[ExpectationResult, ...]) -> str:
    liftable = [row.name for row in failed if not row.protected]
    protected = [row.name for row in failed if row.protected]
    lines = ["Fix the input (or the code that made the table) and start a new run."]
    if protected:
        lines.append(f"No override can lift {', '.join(protected)}.")
    if liftable:
        flags = " ".join(f"--override {name}=REASON" for name in liftable)
        lines.append(f"If it is right, start a new run (without --run-id) with a reason: {flags}")
    return "\n".join(lines)
