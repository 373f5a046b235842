"""One product: what serves to whom since when, what became of its runs, and its experiments."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from conf.errors import DiscoveryError
from conf.experiment import CONTROL_SUFFIX, Experiment
from conf.share import EVERYBODY, Share
from jobs.experiments.decisions import DecisionRecord, DecisionStore
from jobs.experiments.store import ExperimentStore
from jobs.inspector.installation import BrokenRun, Product
from jobs.run.manifest import KeptRun, Manifest
from jobs.run.report import REPORT
from jobs.storage.gate_reports import DRIFT_PAGE
from jobs.storage.stage_names import STAGES
from publish.operate.control import Control, RunReport, StatusReport
from publish.runs.history import Gap, History, read_history
from publish.runs.pointer import PointerStore
from publish.runs.registry import RunRegistry
from publish.runs.run import RunState
from publish.store.capacity import DeclaredLimits

_CHANGES = 25
"""Changes of the pointer that are shown."""
PAGES = {REPORT: "report", DRIFT_PAGE: "drift", "model_card/model_card.html": "model card"}
"""Pages that a run may have in its folder, and what they are called."""


@dataclass(frozen=True)
class RunRow:
    """A run: by its folder, by Redis, or by both."""

    run_id: str
    kept: KeptRun | None
    """None: its folder is gone."""
    report: RunReport | None
    """None: Redis does not know it, or does not answer."""

    @property
    def as_of(self) -> dt.date | None:
        """The day that it is of."""
        if self.kept is not None:
            return self.kept.manifest.request.as_of
        return None if self.report is None else self.report.run.announcement.as_of

    @property
    def role(self) -> str:
        """What it serves as; empty: nothing."""
        return "" if self.report is None else (self.report.serves_as or "")

    @property
    def state(self) -> str:
        """Where it stands, in one word."""
        if self.kept is not None and self.kept.manifest.failure is not None and not self._is_published:
            return "stopped"
        if self.report is not None:
            return state_text(self.report.run.state)
        done = [stage for stage in STAGES if self.kept is not None and stage in self.kept.manifest.stages]
        return f"{done[-1]} is done" if done else "begun"

    @property
    def _is_published(self) -> bool:
        return self.report is not None or (self.kept is not None and "publish" in self.kept.manifest.stages)

    @property
    def tone(self) -> str:
        """Class of the page's styles."""
        if self.role in ("treatment", "control"):
            return "ok"
        return "stops" if self.state in ("stopped", "failed") else ""

    @property
    def why(self) -> str:
        """Why it stopped or waits; empty: it did not."""
        if self.report is not None:
            status = self.report.run.status
            if status.reason or status.held:
                return status.reason or status.held or ""
        return "" if self.kept is None else (self.kept.manifest.failure or "")

    @property
    def lists(self) -> int | None:
        """How many lists it made."""
        if self.report is not None:
            return self.report.run.announcement.users
        return None if self.kept is None else lists_of(self.kept.manifest)

    @property
    def share(self) -> str:
        """Share of the audience that it covers."""
        if self.kept is not None:
            return str(Share(int(self.kept.manifest.request.share_bp)))
        return "" if self.report is None else str(self.report.run.announcement.share_bp)

    @property
    def pages(self) -> list[tuple[str, str]]:
        """File and name of the pages in its folder."""
        return [] if self.kept is None else pages_of(self.kept)


@dataclass(frozen=True)
class ExperimentRow:
    """An experiment and the newest decision about its share."""

    experiment: Experiment
    decision: DecisionRecord | None


@dataclass(frozen=True)
class ProductState:
    """All that the page of a product says."""

    product: Product
    now: dt.datetime
    status: StatusReport | None
    """None: Redis does not answer."""
    fault: str | None
    """Why it does not."""
    history: History | None
    rows: Sequence[RunRow]
    broken: Sequence[BrokenRun]
    experiments: Sequence[ExperimentRow]
    experiments_fault: str | None

    @property
    def headline(self) -> str:
        """What serves to whom, in one line."""
        if self.status is None:
            return "What serves now is not known: Redis does not answer"
        if self.status.restoring:
            return "A rebuild is under way: nothing serves until it is done"
        pointer = self.status.pointer
        if pointer.treatment is None:
            return "Nothing serves yet"
        whom = "everybody" if pointer.share_bp == EVERYBODY else f"{pointer.share_bp} of the audience"
        if not int(pointer.share_bp):
            return "Nobody is served: the share is 0 %"
        return f"Serves {whom}, from data up to {self._as_of}"

    @property
    def _as_of(self) -> str:
        serving = None if self.status is None else self.status.serving
        return "an unknown day" if serving is None else str(serving.announcement.as_of)

    @property
    def age_days(self) -> int | None:
        """Days since the day that what serves is of."""
        serving = None if self.status is None else self.status.serving
        return None if serving is None else (self.now.date() - serving.announcement.as_of).days

    @property
    def alarms(self) -> list[str]:
        """What an operator should look at, the worst first."""
        found = [] if self.status is None else _alarms(self.status)
        newest = next((row for row in self.rows if row.kept is not None), None)
        if newest is not None and newest.state == "stopped":
            found.append(f"the newest run stopped: {newest.why}")
        found += [f"run {one.run_id}: {one.why}" for one in self.broken]
        return found

    @property
    def tone(self) -> str:
        """Class of the page's styles."""
        if self.status is None or self.status.pointer.treatment is None or self.status.damaged or self.status.restoring:
            return "stops"
        return "warning" if self.alarms or self.status.pointer.hold is not None else "ok"

    @property
    def usual_pair(self) -> tuple[str | None, str | None]:
        """The two runs that are compared first: the newest with lists, and the one that served before it."""
        names = [row.run_id for row in self.rows if row.kept is not None]
        made = [row.kept for row in self.rows if row.kept is not None and not row.run_id.endswith(CONTROL_SUFFIX)]
        newest = next((run.manifest for run in made if lists_of(run.manifest) is not None), None)
        if newest is None or newest.serving_before not in names:
            return (names[1] if len(names) > 1 else None), (names[0] if names else None)
        return newest.serving_before, newest.request.run_id

    @property
    def changes(self) -> list[dict[str, Any]]:
        """Changes of the pointer, the newest first."""
        return [] if self.history is None else self.history.newest(_CHANGES).rows()[::-1]

    @property
    def gaps(self) -> Sequence[Gap]:
        """What the history does not cover."""
        return () if self.history is None else self.history.gaps


def state_of(product: Product, now: dt.datetime) -> ProductState:
    """Returns what there is to say of a product; what does not answer is named instead."""
    kept, broken = product.runs()
    status, history, reports, fault = None, None, tuple[RunReport, ...](), None
    try:
        control = Control.connect(product.client(), product.name, declared=DeclaredLimits.of(product.settings.publish))
        status, reports = control.status(), control.runs()
        history = read_history(product.client(), product.name, None)
    except DiscoveryError as error:
        fault = str(error)
    experiments, experiments_fault = _experiments(product)
    return ProductState(
        product, now, status, fault, history, _rows(kept, reports), broken, experiments, experiments_fault
    )


@dataclass(frozen=True)
class Standing:
    """Where a run stands in Redis."""

    role: str
    """What it serves as; empty: nothing."""
    state: str
    since: dt.datetime
    reason: str | None


def standing_of(product: Product, run_id: str) -> Standing | None:
    """Returns where a run stands; None: Redis does not know it, or does not answer."""
    try:
        client = product.client()
        run, pointer = RunRegistry(client, product.name).find(run_id), PointerStore(client, product.name).read()
    except DiscoveryError:
        return None
    if run is None:
        return None
    roles = {pointer.control: "control", pointer.treatment: "treatment"}
    return Standing(roles.get(run_id, ""), state_text(run.state), run.status.since, run.status.reason)


def state_text(state: RunState) -> str:
    """Returns a run's state in words."""
    return str(state).lower().replace("_", " ")


def pages_of(run: KeptRun) -> list[tuple[str, str]]:
    """Returns file and name of the pages in a run's folder."""
    return [(file, name) for file, name in PAGES.items() if run.folder.exists(file)]


def lists_of(manifest: Manifest) -> int | None:
    """Returns how many lists a run made; None: it did not come that far."""
    stage = manifest.stages.get("topn")
    return None if stage is None else stage.facts.get("rows", {}).get("lists")


def _rows(kept: Sequence[KeptRun], reports: Sequence[RunReport]) -> list[RunRow]:
    known = {report.run.name: report for report in reports}
    rows = [RunRow(run.manifest.request.run_id, run, known.pop(run.manifest.request.run_id, None)) for run in kept]
    return [*rows, *(RunRow(name, None, report) for name, report in reversed(known.items()))]


def _experiments(product: Product) -> tuple[list[ExperimentRow], str | None]:
    store = ExperimentStore.of(product.home, product.name)
    try:
        found = [
            ExperimentRow(one, max(DecisionStore.of(store, one.name).all(), key=lambda made: made.week, default=None))
            for one in store.read_all()
        ]
    except DiscoveryError as fault:
        return [], str(fault)
    return found[::-1], None


def _alarms(status: StatusReport) -> list[str]:
    found = []
    if status.damaged:
        places = ", ".join(map(str, status.damaged))
        found.append(f"Redis lost writes of partitions {places} of the run that serves; a running loader mends that")
    if status.limits.fault is not None:
        found.append(status.limits.fault)
    found += [f"the record of run {run.name} cannot be read: {run.why}" for run in status.unreadable]
    if status.dead_letters:
        found.append(f"{status.dead_letters:,} records could not be loaded: discovery dlq list")
    found += [
        f"run {one.run.name} is complete and waits: {one.run.status.held}"
        for one in status.waiting
        if one.run.state is RunState.READY and one.run.status.held
    ]
    return found
