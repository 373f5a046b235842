"""What the drift gates found in the runs of one product, as their folders keep it; no Spark, no servers."""

import datetime as dt
import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

from conf.errors import Refused
from conf.experiment import CONTROL_SUFFIX
from conf.settings import Settings
from expectations.drift.checks import DriftProfile, ranked
from expectations.drift.findings import Accepted, Alarm, Finding
from expectations.drift.statistics import OF_DATA, Kind
from expectations.drift_message import STATUSES, Status, statuses
from expectations.report import GateReport
from jobs.run.manifest import find_run, kept_runs, run_folder
from jobs.run.run_id import RunId
from jobs.storage.bound_folder import BoundFolder
from jobs.storage.drift import DriftStore
from jobs.storage.gate_reports import DRIFT_GATES, DRIFT_PAGE, report_file
from jobs.storage.store import Storage
from publish.clock import utc_now

_LATEST = 10
"""Runs in whose reports a statistic is looked for."""
_SHOWN = 12


class NoFinding(Refused):
    """No run, statistic or alarm of that name is known."""


@dataclass(frozen=True)
class Judged:
    """A finding, what it means for its run, and the report that it is from."""

    finding: Finding
    status: Status
    report: GateReport
    profile: DriftProfile


@dataclass(frozen=True)
class Drift:
    """The findings of one product's runs, and what was decided about them."""

    settings: Settings
    home: Storage
    is_of_control: bool = False
    """Whether numbers of runs are those of controls of experiments, else of all others; those of data are of both."""

    @cached_property
    def store(self) -> DriftStore:
        """The history, the alarms and the decisions, of both arms."""
        return DriftStore.of(self.home, self.settings.product)

    @cached_property
    def own(self) -> DriftStore:
        """The same as the runs of this arm read it."""
        return replace(self.store, arm=lambda key: self._has(key.partition(".")[0]))

    def runs(self) -> Iterator[str]:
        """Yields the runs that a drift gate has judged, the newest first."""
        for name in reversed(kept_runs(self.home, self.settings.product)):
            if self._files(name):
                yield name

    def reports(self, run: str | None) -> list[GateReport]:
        """Returns the reports of a run's drift gates; None: of the newest run. Raises NoFinding, ChangedSince."""
        product = self.settings.product
        if run is None:
            newest = next(self.runs(), None)
            if newest is None:
                raise NoFinding(f"no run of {product} was judged by a drift gate yet, in {self.home.uri}")
            treatment = newest.removesuffix(CONTROL_SUFFIX)  # a control is judged before it
            run = treatment if self._files(treatment) else newest
        kept = find_run(self.home, product, str(RunId.parse(run)))
        if kept is None or not self._files(run):
            there = "is not there" if kept is None else "has no report of a drift gate"
            known = ", ".join(islice(self.runs(), 5)) or "none"
            raise NoFinding(f"run {run} {there}, in {kept.folder.uri if kept else self.home.uri}; newest: {known}")
        return [_report(kept.folder, file) for file in self._files(run)]

    def control_of(self, run: str) -> list[GateReport]:
        """Returns the reports of the control beside a run; none if it has none that was judged."""
        control = f"{run}{CONTROL_SUFFIX}"
        return self.reports(control) if self._files(control) else []

    def page(self, run: str) -> str | None:
        """Returns where the page of a run's drift is; None if it has none."""
        folder = run_folder(self.home, self.settings.product, run)
        return f"{folder.uri}/{DRIFT_PAGE}" if folder.exists(DRIFT_PAGE) else None

    def newest(self, name: str) -> Judged | None:
        """Returns the newest finding of a statistic in the latest runs, of this arm unless it is of data."""
        for run in islice(self.runs(), _LATEST):
            for one in judged(self.reports(run)):
                if one.finding.full_name == name and self._is_ours(run, one.finding.kind):
                    return one
        return None

    def names(self) -> list[str]:
        """Returns every statistic that was measured, or found in the newest run."""
        measured = {f"{subject}.{name}" for _, subject, name in self.store.history().keys}
        run = next(self.runs(), None)
        return sorted(measured | {one.finding.full_name for one in judged(self.reports(run) if run else ())})

    def open_alarms(self) -> list[Alarm]:
        """Returns the alarms of days that nobody accepted or excluded, the newest first."""
        held = self.own.decisions()
        excluded = {(one.dataset, one.day) for one in held.excluded}
        alarms = (
            alarm
            for alarm in self._alarms()
            if not any(_covers(one, alarm) for one in held.accepted)
            and not excluded.issuperset((alarm.subject, day) for day in alarm.days)
        )
        return sorted(alarms, key=lambda alarm: (max(alarm.days), alarm.run), reverse=True)

    def alarm(self, name: str) -> Alarm:
        """Returns the alarm of a statistic that can be accepted.

        Raises NoFinding where there is none, or where the newest run that judged it found it as usual again: its past
        would be moved for nothing.
        """
        alarms, newest = self.open_alarms(), self.newest(name)
        if newest is not None and newest.finding.state == "alarm":
            alarms.sort(key=lambda one: one.days != newest.finding.days)  # stable: the newest of the others
        elif newest is not None and any(name_of(one) == name for one in alarms):
            found = f"run {newest.report.run} found {name} {newest.status} again"
            raise NoFinding(f"{found}: there is nothing to accept; look at discovery drift history {name}")
        alarm = next((one for one in alarms if name_of(one) == name), None)
        if alarm is None:
            there = ", ".join(dict.fromkeys(map(name_of, alarms))) or "none"
            raise NoFinding(f"there is no alarm of {name!r:.300} that could be accepted; open alarms: {there}")
        return alarm

    @property
    def as_of(self) -> dt.date:
        """Latest day of a run, which a repeated one has too; today if there is none."""
        runs = kept_runs(self.home, self.settings.product).values()
        return max((run.as_of for run in runs), default=utc_now().date())

    def _alarms(self) -> Iterator[Alarm]:
        """Yields the alarms of data by all runs, and those of this arm."""
        yield from (alarm for alarm in self.store.alarms() if alarm.kind in OF_DATA)
        yield from (alarm for alarm in self.own.alarms() if alarm.kind not in OF_DATA)

    def _has(self, run: str) -> bool:
        return run.endswith(CONTROL_SUFFIX) == self.is_of_control

    def _is_ours(self, run: str, kind: Kind) -> bool:
        return kind in OF_DATA or self._has(run)

    def _files(self, run: str) -> list[str]:
        folder = run_folder(self.home, self.settings.product, run)
        return [file for gate in DRIFT_GATES if folder.exists(file := report_file(gate))]


def _report(folder: BoundFolder, file: str) -> GateReport:
    try:
        return GateReport.from_json(folder.read_bytes(file).decode())
    except ValueError as error:
        first = " ".join(str(error).splitlines()[:3])
        raise NoFinding(f"{folder.uri}/{file} cannot be read ({first}): it is damaged, or of other code") from None


def judged(reports: Sequence[GateReport]) -> list[Judged]:
    """Returns every finding of these reports, the worst first."""
    found = []
    for report in reports:
        if isinstance(report.profile, DriftProfile):
            named = {one.full_name: one for one in ranked(report.profile.findings)}
            known = statuses(report, report.profile)
            found += [Judged(named[name], status, report, report.profile) for name, status in known.items()]
    return sorted(found, key=lambda one: STATUSES.index(one.status))  # stable: causes stay before effects


def name_of(alarm: Alarm) -> str:
    """Returns the full name of an alarm's statistic."""
    return f"{alarm.subject}.{alarm.name}"


def finding_of(alarm: Alarm) -> Finding:
    """Returns an alarm as the finding that it was."""
    fields = alarm.model_dump(exclude={"run"})
    return Finding.model_validate({**fields, "mode": "block", "state": "alarm", "runs": alarm.runs})


def hint(name: str, known: Sequence[str]) -> str:
    """Returns what was perhaps meant, or some of what there is."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    if near:
        return f"did you mean {' or '.join(near)}?"
    more = f" … and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return f"there are: {', '.join(known[:_SHOWN]) or 'none'}{more}"


def _covers(accepted: Accepted, alarm: Alarm) -> bool:
    return accepted.name == name_of(alarm) and {*accepted.days}.issuperset(alarm.days)
