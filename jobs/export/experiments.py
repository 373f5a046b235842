"""What is known of the newest experiment: its sums, what they say, and what the ramp decided."""

import math

from pyarrow import fs

from conf.experiment import Experiment
from conf.settings import Settings
from jobs.experiments.decisions import DecisionRecord, DecisionStore
from jobs.experiments.report import Report, Reporting, Result, judging_of
from jobs.experiments.store import RECORD, ExperimentStore
from jobs.experiments.weeks import SumsRecord, WeekStore
from jobs.export.kept import Kept, Last
from jobs.export.samples import Readable, Sample, Samples, at, end_of, known
from jobs.storage.store import Storage


class ExperimentSource(Readable):
    """The experiments of one product."""

    def __init__(self, settings: Settings, home: Storage) -> None:
        self._settings = settings
        self._store = ExperimentStore.of(home, settings.product)
        self._experiments = Kept(self._experiment)
        self._report: Last[object, Report] = Last()

    def read(self) -> Samples:
        """Yields what there is; raises what a record raises that cannot be read."""
        names = [info.base_name for info in self._store.at.files() if info.type == fs.FileType.Directory]
        found = self._experiments.of(self._store.at, (f"{name}/{RECORD}" for name in names)).values()
        newest = max((one for one in found if one is not None), key=lambda one: one.opened, default=None)
        yield Sample("discovery_experiment_open", float(newest is not None and newest.is_open))
        if newest is not None:
            yield from at("discovery_experiment_opened_timestamp_seconds", newest.opened)
            yield Sample("discovery_experiment_last_week", judging_of(self._settings, newest).weeks)
            decision = self._newest_decision(newest)
            if decision is not None:
                yield from _decided(decision)
            report = self._newest_report(newest)
            if report is not None:
                yield from _shown(report)
            yield from _guardrails(decision, report)

    def _experiment(self, path: str, info: fs.FileInfo) -> Experiment | None:
        return self._store.find(path.partition("/")[0])

    def _newest_decision(self, experiment: Experiment) -> DecisionRecord | None:
        return next(reversed(DecisionStore.of(self._store, experiment.name).all()), None)

    def _newest_report(self, experiment: Experiment) -> Report | None:
        weeks = WeekStore.of(self._store, experiment.name)
        sums = weeks.sums()
        if not sums:
            return None
        record = sums[max(sums)]
        key = experiment.name, record.sha256
        return self._report.of(key, lambda: self._made(experiment, record, weeks))

    def _made(self, experiment: Experiment, record: SumsRecord, weeks: WeekStore) -> Report:
        return Reporting.of(self._settings, experiment, record, weeks).report()


def _decided(newest: DecisionRecord) -> Samples:
    yield Sample("discovery_experiment_share_ratio", newest.share_bp.ratio)
    for action in ("raise", "hold", "stop"):
        yield Sample("discovery_experiment_decision", float(newest.action == action), {"decision": action})
    yield from at("discovery_experiment_decided_timestamp_seconds", newest.decided)
    undone = newest.action == "stop" and newest.enforced is None
    yield Sample("discovery_experiment_stop_unenforced", float(undone))


def _shown(report: Report) -> Samples:
    yield Sample("discovery_experiment_week", report.record.week)
    yield from at("discovery_experiment_summed_timestamp_seconds", end_of(report.record.weeks[-1].last))
    yield Sample("discovery_experiment_mismatch", float(report.is_mismatch))
    for one in report.effects or ():
        if isinstance(one, Result):
            yield from known("discovery_experiment_lift_ratio", one.newest.lift, metric=one.metric)
            interval = one.newest.lift_interval
            if interval is not None and math.isfinite(interval.low) and math.isfinite(interval.high):
                yield Sample("discovery_experiment_lift_low_ratio", interval.low, {"metric": one.metric})
                yield Sample("discovery_experiment_lift_high_ratio", interval.high, {"metric": one.metric})


def _guardrails(decision: DecisionRecord | None, report: Report | None) -> Samples:
    """Yields whether guardrails are broken, by the decision or by the sums; those of a part count as their metric's."""
    said = [(one.metric, one.state) for one in (decision.guardrails if decision is not None else ())]
    said += [(harm.guardrail.metric, harm.state) for harm in (report.harms if report is not None else ())]
    for name in sorted({metric.partition(":")[0] for metric, _ in said}):
        is_broken = any(state == "broken" for metric, state in said if metric.partition(":")[0] == name)
        yield Sample("discovery_experiment_guardrail_breached", float(is_broken), {"guardrail": name})
