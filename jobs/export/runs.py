"""What the folders of runs know: manifests, reports of gates, and what drifted."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyarrow import fs
from pydantic import ValidationError

from conf.contract import METRICS
from conf.settings import Settings
from expectations.drift.checks import DriftProfile
from expectations.drift.findings import Finding
from expectations.report import Gate, GateReport
from jobs.export.kept import Kept, Last
from jobs.export.metrics import GOLDEN_METRICS, JUDGED_ARMS, SEGMENTS
from jobs.export.period import period_of
from jobs.export.samples import Readable, Sample, Samples, at, known
from jobs.run.after_serving import SERVE
from jobs.run.manifest import Manifest, StageRecord, read_manifest
from jobs.storage.bound_folder import MANIFEST, ChangedSince
from jobs.storage.drift import DriftStore
from jobs.storage.gate_reports import DRIFT_GATES, GATES, report_file
from jobs.storage.stage_names import STAGES
from jobs.storage.store import Storage

_MOST_RUNS = 200
"""Newest folders that are read; the ids of runs sort by time."""
_SEARCHED = 10
"""Newest runs in which a gate's report is looked for."""
_ALL_GATES: tuple[Gate, ...] = (*GATES, *DRIFT_GATES)
_JUDGES = {gate: "topn" if gate in ("lists", "list_drift") else "features" for gate in _ALL_GATES}
"""Gate → the stage that passes it."""


@dataclass(frozen=True)
class Seen:
    """What is kept of a manifest."""

    run: str
    arm: str
    created: dt.datetime
    failed: bool
    stages: Mapping[str, StageRecord]
    """Without what is not exported of them."""
    lists: Mapping[str, int]
    """What became of lists → their number."""
    judged: Mapping[str, Any]
    golden: Mapping[str, Any]


@dataclass(frozen=True)
class Judged:
    """What is kept of a gate's report."""

    passed: bool
    failed: int
    overridden: int
    written: dt.datetime | None
    drift: "Drift | None"


@dataclass(frozen=True)
class Drift:
    """What is kept of a drift gate's findings."""

    block: int
    warn: int
    judged: int
    learning: int
    deviation: float | None


class RunSource(Readable):
    """The run folders of one product."""

    def __init__(self, settings: Settings, home: Storage) -> None:
        self._period = None if settings.schedule is None else period_of(settings.schedule)
        self._folder = home.child(f"runs/{settings.product}")
        self._drift = DriftStore.of(home, settings.product)
        self._manifests, self._reports = Kept(self._seen), Kept(self._judged)
        self._excluded: Last[object, int] = Last()

    def read(self) -> Samples:
        """Yields what there is; raises what a folder raises that cannot be read."""
        yield from known("discovery_run_period_seconds", self._period)
        names = [info.base_name for info in self._folder.files() if info.type == fs.FileType.Directory][-_MOST_RUNS:]
        found = self._manifests.of(self._folder, (f"{name}/{MANIFEST}" for name in names)).values()
        runs = sorted((one for one in found if one is not None), key=lambda one: one.created, reverse=True)
        yield Sample("discovery_run_folders", len(found))
        yield Sample("discovery_run_damaged_folders", len(found) - len(runs))
        treatments, controls = ([one for one in runs if one.arm == arm] for arm in ("treatment", "control"))
        yield from _ends(treatments)
        yield from _stages(treatments)
        yield from _quality(treatments)
        for some in (treatments, controls):
            yield from _lists(some)
            yield from self._gates(some[:_SEARCHED])
        yield Sample("discovery_drift_exclusions", self._excluded_days())

    def _seen(self, path: str, info: fs.FileInfo) -> Seen | None:
        """Returns what is kept of a manifest; None if it was changed or is damaged."""
        try:
            manifest, is_sound = read_manifest(self._folder.child(path.rpartition("/")[0]))
        except ChangedSince:
            return None
        return _seen_of(manifest) if is_sound else None

    def _judged(self, path: str, info: fs.FileInfo) -> Judged | None:
        """Returns what is kept of a report; None if it cannot be read."""
        try:
            report = GateReport.from_json(self._folder.read_bytes(path).decode())
        except (ValidationError, UnicodeDecodeError):
            return None
        profile = report.profile
        return Judged(
            passed=report.passed,
            failed=len(report.failed),
            overridden=sum(row.status == "overridden" for row in report.expectations),
            written=None if info.mtime is None else info.mtime.astimezone(dt.UTC),
            drift=_drift_of(profile.findings) if isinstance(profile, DriftProfile) else None,
        )

    def _gates(self, runs: Sequence[Seen]) -> Samples:
        """Yields each gate's newest report; runs: of one arm, the newest first."""
        left = list(_ALL_GATES)
        for run in runs:
            paths = {f"{run.run}/{report_file(gate)}": gate for gate in left}
            for path, judged in self._reports.of(self._folder, paths).items():
                left.remove(paths[path])
                if judged is not None:
                    yield from _gate(paths[path], run, judged)
            if not left:
                return

    def _excluded_days(self) -> int:
        files = self._drift.at.files("decisions")
        key = [(info.base_name, info.size) for info in files]
        return self._excluded.of(key, lambda: len(self._drift.decisions().excluded))


def _seen_of(manifest: Manifest) -> Seen:
    lists: dict[str, int] = {}
    for stage in ("publish", SERVE):
        if stage in manifest.stages:
            lists |= manifest.stages[stage].facts.get("counts", {})
    if "topn" in manifest.stages:
        lists = {"computed": manifest.stages["topn"].facts.get("rows", {}).get("lists", 0), **lists}
    trained = manifest.stages["train"].facts if "train" in manifest.stages else {}
    part = manifest.experiment
    return Seen(
        run=manifest.request.run_id,
        arm="treatment" if part is None else part.role,
        created=manifest.created_at,
        failed=manifest.failure is not None,
        stages={name: one.model_copy(update={"facts": {}, "made": {}}) for name, one in manifest.stages.items()},
        lists=lists,
        judged=trained.get("judged") or {},
        golden=trained.get("golden") or {},
    )


def _ends(runs: Sequence[Seen]) -> Samples:
    """Yields when runs began and ended; the newest first."""
    served = [one.stages[SERVE].finished_at for one in runs if SERVE in one.stages]
    yield from at("discovery_run_last_success_timestamp_seconds", max(served, default=None))
    if runs:
        yield from at("discovery_run_last_start_timestamp_seconds", runs[0].created)
        yield Sample("discovery_run_last_failed", float(runs[0].failed))


def _stages(runs: Sequence[Seen]) -> Samples:
    for stage in STAGES:
        newest = max(
            (one.stages[stage] for one in runs if stage in one.stages), key=lambda one: one.finished_at, default=None
        )
        if newest is not None:
            yield Sample("discovery_stage_seconds", newest.seconds, {"stage": stage})
            yield from at("discovery_stage_finished_timestamp_seconds", newest.finished_at, stage=stage)
            for process, size in newest.peak_bytes.items():
                yield Sample("discovery_stage_peak_bytes", size, {"stage": stage, "process": process})


def _lists(runs: Sequence[Seen]) -> Samples:
    """Yields the numbers of the newest run that got so far, for each of them."""
    got: dict[str, int] = {}
    for run in runs:
        got = {**run.lists, **got}
        if len(got) >= 4:  # all of them
            break
    for kind, number in got.items():
        yield Sample("discovery_run_lists", number, {"kind": kind, "arm": runs[0].arm})


def _quality(runs: Sequence[Seen]) -> Samples:
    """Yields the figures of the newest run that was judged."""
    run = next((one for one in runs if "users" in one.judged), None)
    if run is None:
        return
    judged = run.judged
    yield from known("discovery_run_judged_users", judged["users"])
    for arm in JUDGED_ARMS:
        prefix = "" if arm == "ours" else f"{arm}."
        yield from known("discovery_run_coverage_ratio", _number(judged.get(f"{prefix}coverage")), arm=arm)
        for metric in METRICS:
            for end, name in (("", "quality"), (".low", "quality_low"), (".high", "quality_high")):
                value = _number(judged.get(f"{prefix}{metric}{end}"))
                yield from known(f"discovery_run_{name}_ratio", value, metric=metric, arm=arm)
    for segment in SEGMENTS:
        for metric in METRICS:
            value = _number(judged.get(f"{segment}.{metric}"))
            yield from known("discovery_run_segment_quality_ratio", value, metric=metric, segment=segment)
    for metric in GOLDEN_METRICS:
        yield from known("discovery_run_golden_ratio", _number(run.golden.get(metric)), metric=metric)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _gate(gate: Gate, run: Seen, judged: Judged) -> Samples:
    labels = {"gate": gate, "arm": run.arm}
    yield Sample("discovery_gate_passed", float(judged.passed), labels)
    yield Sample("discovery_gate_failed_expectations", judged.failed, labels)
    yield Sample("discovery_gate_overrides", judged.overridden, labels)
    stage = run.stages.get(_JUDGES[gate])  # by the job's clock, and the same in a copy of the folder
    moment = judged.written if stage is None else stage.finished_at
    yield from at("discovery_gate_checked_timestamp_seconds", moment, **labels)
    if judged.drift is not None:
        yield from _drift(judged.drift, labels)


def _drift(found: Drift, labels: Mapping[str, str]) -> Samples:
    yield Sample("discovery_drift_findings", found.block, {**labels, "severity": "block"})
    yield Sample("discovery_drift_findings", found.warn, {**labels, "severity": "warn"})
    yield Sample("discovery_drift_judged", found.judged, labels)
    yield Sample("discovery_drift_learning", found.learning, labels)
    yield from known("discovery_drift_largest_deviation_ratio", found.deviation, **labels)


def _drift_of(findings: Sequence[Finding]) -> Drift:
    alarms = [one for one in findings if one.state == "alarm"]
    return Drift(
        block=sum(one.blocks for one in alarms),
        warn=sum(not one.blocks for one in alarms),
        judged=sum(one.state in ("ok", "alarm") for one in findings),
        learning=sum(one.state == "learning" for one in findings),
        deviation=max((value for one in findings for value in _deviation(one)), default=None),
    )


def _deviation(one: Finding) -> Iterator[float]:
    """Yields how far a judged statistic is from what was expected, as a part of what is allowed on that side."""
    if one.state not in ("ok", "alarm") or one.value is None or one.expected is None:
        return
    bound = one.high if one.value >= one.expected else one.low
    if bound is not None and bound != one.expected:
        yield abs(one.value - one.expected) / abs(bound - one.expected)
