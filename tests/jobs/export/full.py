"""A product of which everything is known that can be known, so that every metric has all of its series."""

import datetime as dt
from collections.abc import Sequence
from itertools import product as pairs
from typing import Any

import redis

from conf.contract import METRICS
from conf.judging import METRIC_NAMES, JudgingSettings
from conf.settings import Settings
from conf.share import Share
from expectations.drift.checks import DriftProfile
from expectations.drift.findings import Finding
from expectations.report import ExpectationResult, GateReport
from jobs.experiments.decisions import DecisionRecord, DecisionStore, Guarded
from jobs.experiments.store import ExperimentStore
from jobs.experiments.weeks import WeekStore
from jobs.export.metrics import JUDGED_ARMS
from jobs.exposures.state import State
from jobs.exposures.store import LandingStore
from jobs.outcomes.store import OutcomeStore
from jobs.run.manifest import StageRecord, save_manifest
from jobs.storage.gate_reports import DRIFT_GATES, GATES, report_file
from jobs.storage.stage_names import STAGES
from jobs.storage.store import Storage
from publish.operate.control import Control
from tests.features.world import settings
from tests.jobs.cli.test_outcomes import NOTHING, keep
from tests.jobs.experiments.measured import measured
from tests.jobs.experiments.test_store import experiment
from tests.jobs.runs import manifest_of
from tests.publish.support.pushing import announce, lists_of, publish_directly

AS_OF = dt.date(2026, 11, 16)
NOON = dt.datetime(2026, 11, 16, 12, tzinfo=dt.UTC)
WEEKLY = "0 3 * * MON"


def settings_of(product: str, **changes: Any) -> Settings:
    """The settings of a product with a schedule."""
    return settings(**changes).model_copy(update={"product": product, "schedule": WEEKLY})


def run_id(number: int, arm: str = "treatment") -> str:
    """The id of a run; they sort by number."""
    return f"2026{number:04d}T030000Z-20261116-1{'-control' if arm == 'control' else ''}"


def write_run(
    home: Storage, product: str, number: int = 1, arm: str = "treatment", *, stages: Sequence[str] = STAGES, **more: Any
) -> Storage:
    """Writes the manifest of a run that finished these stages. Returns its folder."""
    part = {"experiment": "bigger", "role": arm, "control": "pinned", "opened": NOON}
    name, created = run_id(number, arm), more.get("created_at", NOON + dt.timedelta(hours=number))
    request = manifest_of().request.model_copy(update={"run_id": name, "product": product})
    records = {stage: _record(stage, created) for stage in stages}
    folder = home.child(f"runs/{product}/{name}")
    known = {"request": request, "created_at": created, "stages": records, "experiment": part}
    save_manifest(folder, manifest_of(**(known | more)))
    return folder


def _record(stage: str, created: dt.datetime) -> StageRecord:
    facts: dict[str, dict[str, Any]] = {
        "train": {"judged": _judged(), "golden": {"ndcg": 0.3, "recall": 0.4}},
        "topn": {"rows": {"lists": 100}},
        "publish": {"counts": {"computed": 100, "produced": 100}},
        "serve": {"counts": {"loaded": 100, "readable": 99}},
    }
    return StageRecord(
        finished_at=created + dt.timedelta(minutes=1 + STAGES.index(stage)),
        code_version="abc",
        seconds=10.0,
        peak_bytes={"jvm": 1, "driver": 2, "workers": 3, "total": 6},
        facts=facts.get(stage, {}),
    )


def _judged() -> dict[str, Any]:
    found: dict[str, Any] = {"k": 20, "users": 500, "popularity.remark": "a text"}
    for arm, metric in pairs(JUDGED_ARMS, METRICS):
        prefix = "" if arm == "ours" else f"{arm}."
        found |= {f"{prefix}{metric}{end}": 0.5 for end in ("", ".low", ".high")} | {f"{prefix}coverage": 0.7}
    return found | {f"{one}.{metric}": 0.4 for one, metric in pairs(("cold", "light", "heavy", "new"), METRICS)}


def write_reports(folder: Storage, *, passed: bool = True) -> None:
    """Writes the report of each gate."""
    row = ExpectationResult(name="rows", observed="1", allowed="2", passed=passed, protected=False)
    lifted = row.model_copy(update={"passed": False, "overridden": "known"})
    for gate in (*GATES, *DRIFT_GATES):
        profile = DriftProfile(findings=FINDINGS) if gate in DRIFT_GATES else None
        report = GateReport(gate=gate, passed=passed, expectations=(row, lifted), profile=profile)
        folder.write_bytes(report_file(gate), report.to_json().encode())


def _finding(**changes: Any) -> Finding:
    return Finding.model_validate({"kind": "events", "subject": "clicks", "name": "rows", "mode": "warn"} | changes)


FINDINGS = (
    _finding(state="alarm", mode="block", value=130.0, expected=100.0, low=90.0, high=110.0),
    _finding(state="alarm", value=85.0, expected=100.0, low=90.0, high=110.0),
    _finding(state="ok", value=101.0, expected=100.0, low=90.0, high=110.0),
    _finding(state="learning"),
)
"""The largest deviation is three times what is allowed."""


def write_outcomes(home: Storage, product: str) -> None:
    """Writes measured days, the newest one still growing, and until when answers were landed."""
    rows = [
        _row(basis=basis, arm=arm)
        for basis, arm in pairs(("listed", "answered", "shown"), ("treatment", "control", "shadow"))
    ]
    for day in range(9):
        keep(OutcomeStore.of(home, product), AS_OF + dt.timedelta(days=day), *rows, mature=day < 8)
    LandingStore.of(home, product).write_state(State(landed_at=NOON))


def _row(**figures: Any) -> dict[str, Any]:
    known = {"run": "a", "by": "all", "users": 10, "answers": 20, "places": 200, "hits": 5, "new": 8, "new_listed": 2}
    groups = {"group_users": [1] * 64, "group_answers": [2, 3] * 32, "group_hits": [0, 1] * 32}
    return NOTHING | known | groups | figures


def write_experiment(home: Storage, product: str) -> None:
    """Writes an open experiment with sums of every metric, and a decision about a guardrail on each."""
    store = ExperimentStore.of(home, product)
    judged_by = JudgingSettings(metrics=METRIC_NAMES, weeks=4)
    store.add(experiment(product=product, name="bigger", judged_by=judged_by))
    measured(
        WeekStore.of(store, "bigger"), [5_000, 5_000], dict.fromkeys(METRIC_NAMES, 0.1), users=4_000, product=product
    )
    rails = [Guarded(metric=name, margin=0.01, better="more", state="held", said="") for name in METRIC_NAMES]
    broken = Guarded(metric="new:category=news", margin=0.01, better="more", state="broken", said="")
    decision = DecisionRecord(
        product=product, experiment="bigger", week=2, as_of=AS_OF, decided=NOON, action="stop", share_bp=Share(0),
        run_share_bp=Share(0), reasons=("it is worse",), before_bp=Share(5_000), cap_bp=Share(10_000), held=None,
        approved_bp=Share(0), sums=None, guardrails=(*rails, broken), mismatch=None,
    )  # fmt: skip
    DecisionStore.of(store, "bigger").write(decision)


def push(client: redis.Redis, product: str) -> None:
    """Lets a run and its control serve, held; one that failed, and one on its way."""
    control = Control.connect(client, product)
    left = publish_directly(client, product, role="control")
    right = publish_directly(client, product, control=left.run, share_bp=5_000, first=True)
    control.promote(right.run)
    control.hold("a test")
    failed = announce(client, product, lists_of(10))
    control.registry.fail(failed.run, "a test")
    announce(client, product, lists_of(10))


def write_all(home: Storage, client: redis.Redis, product: str) -> None:
    """Writes everything."""
    for arm in ("control", "treatment"):
        write_reports(write_run(home, product, 1, arm))
    write_outcomes(home, product)
    write_experiment(home, product)
    push(client, product)
