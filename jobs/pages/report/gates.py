"""The gates of a run: each expectation with what was observed and allowed, and what was overridden and why."""

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.pages.report.documents import Known, RunDocuments
from jobs.pages.report.words import plural
from jobs.storage.gate_reports import DRIFT_GATES

_WHAT = {
    "inputs": "gate 1, what comes in: snapshots and new days against the run that served",
    "interactions": "gate 1, the interactions made of it",
    "champion_interactions": "gate 1, the interactions by the champion's recipe",
    "input_drift": "gate 1, each statistic of the inputs against its own past",
    "lists": "gate 2, the lists themselves and against the lists that served",
    "list_drift": "gate 2, each statistic of the lists against its own past",
}
"""Gate → what it judges, in the order in which a run passes them."""
_MOST = 60
"""Expectations of a gate that are shown."""
_WORST = ("FAILED", "overridden", "skipped", "ok")


@dataclass(frozen=True)
class Expectation:
    """One judged or skipped expectation."""

    name: str
    status: str
    observed: str
    allowed: str
    why: str
    """Why it was overridden or skipped."""

    @property
    def tone(self) -> str:
        """Class of the page's styles."""
        return {"FAILED": "stops", "overridden": "overridden", "ok": "ok"}.get(self.status, "learning")


@dataclass(frozen=True)
class Gate:
    """One gate, whether it passed, and its expectations, the worst first."""

    name: str
    what: str
    state: str
    tone: str
    expectations: Sequence[Expectation]
    unused: Sequence[tuple[str, str]]
    """Overrides that nothing needed, and their reasons."""

    @property
    def shown(self) -> Sequence[Expectation]:
        """The expectations that the page lists; of drift gates only those that were judged, which most seldom are."""
        listed = [one for one in self.expectations if not (self.is_drift and one.status == "skipped")]
        return listed[:_MOST]

    @property
    def is_drift(self) -> bool:
        """Whether it judges statistics by their past."""
        return self.name in DRIFT_GATES

    @property
    def counts(self) -> str:
        """How many expectations have which status."""
        words = {"FAILED": "failed", "overridden": "overridden", "skipped": "not judged", "ok": "held"}
        known = [one.status for one in self.expectations]
        return ", ".join(f"{known.count(status)} {words[status]}" for status in _WORST if status in known)

    @property
    def overridden(self) -> Sequence[Expectation]:
        """Those whose failure was lifted."""
        return [one for one in self.expectations if one.status == "overridden"]


def gates_of(run: RunDocuments) -> list[Gate]:
    """Returns every gate in the order in which a run passes them; those that were not reached too."""
    return [_gate(name, run) for name in _WHAT if name != "champion_interactions" or name in run.gates]


def _gate(name: str, run: RunDocuments) -> Gate:
    report = run.gates.get(name)
    if report is None:
        old = name in DRIFT_GATES and bool(run.manifest.at("stages", "features")) and not run.fact("features", "drift")
        state = "the code of this run had none" if old else "not reached"
        return Gate(name, _WHAT[name], state, "learning", (), ())
    rows = sorted(map(_expectation, report.at("expectations").each()), key=lambda row: _WORST.index(row.status))
    lifted = sum(row.status == "overridden" for row in rows)
    passed = report.at("passed").value is True
    state = "failed" if not passed else f"passed, {plural(lifted, 'override')}" if lifted else "passed"
    tone = "stops" if not passed else "overridden" if lifted else "ok"
    unused = [(expectation, why.text or "") for expectation, why in report.at("unused_overrides").items()]
    return Gate(name, _WHAT[name], state, tone, rows, unused)


def _expectation(row: Known) -> Expectation:
    overridden, skipped = row.at("overridden").text, row.at("skipped").text
    if row.at("passed").value is True:
        status = "ok"
    elif skipped is not None:
        status = "skipped"
    else:
        status = "FAILED" if overridden is None else "overridden"
    texts = (row.at(name).text for name in ("name", "observed", "allowed"))
    name, observed, allowed = (text or "–" for text in texts)
    return Expectation(name, status, observed, allowed, overridden or skipped or "")
