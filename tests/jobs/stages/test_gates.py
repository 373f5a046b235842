"""A gate compares a run with the one that served when it was created, and keeps its report for the next."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from conf.windows import Window
from expectations.errors import GateFailed
from expectations.inputs import InputProfile, ServedInputs, SnapshotProfile
from expectations.new_days import DayProfile, DaysProfile
from expectations.report import ExpectationResult, GateReport
from features.counts import Counts
from features.reading.catalog import PartialRecord
from features.reading.snapshots import Snapshot
from jobs.stages.gates import INPUT_FACT, BaselineMissing, baseline_of, need_baselines, pass_gate, served_inputs
from jobs.stages.inputs import input_profile
from jobs.storage.bound_folder import ChangedSince
from models.champion import Champion
from tests.expectations.inputs import input_profile as sound_inputs
from tests.expectations.profiles import interaction_profile, list_profile
from tests.features.world import AS_OF, ago
from tests.jobs.runs import RUN_ID, finish, run_in

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

BEFORE = "20261109T030000Z-20261109-1"


def result(name: str, **changes: Any) -> ExpectationResult:
    fields: dict[str, Any] = {"name": name, "observed": "1", "allowed": "0", "passed": True, "protected": False}
    return ExpectationResult(**{**fields, **changes})


REPORT = GateReport(
    gate="interactions",
    passed=True,
    run=RUN_ID,
    expectations=(
        result("held"),
        result("lifted", passed=False, overridden="new app"),
        result("not asked", passed=False, skipped="first run"),
    ),
    profile=interaction_profile(),
)


def test_a_first_run_has_no_baseline(tmp_path: Path) -> None:
    run, _ = run_in(tmp_path)
    assert baseline_of(run, "interactions") is None


def test_the_report_of_the_run_before_is_the_baseline(tmp_path: Path) -> None:
    before, _ = run_in(tmp_path)
    summary = pass_gate(before, lambda: REPORT)
    finish(before, "features")
    assert summary == {"passed": 1, "failed": 0, "skipped": 1, "overridden": {"lifted": "new app"}}
    now, _ = run_in(tmp_path, serving_before=RUN_ID)
    assert baseline_of(now, "interactions") == REPORT.profile


def test_a_baseline_that_was_changed_since_is_refused(tmp_path: Path) -> None:
    before, _ = run_in(tmp_path)
    pass_gate(before, lambda: REPORT)
    finish(before, "features")
    path = Path(before.folder.uri, "gate_interactions.json")
    content = path.read_text()
    path.write_text(content.replace('"rows": 2000', '"rows": 2001'))
    assert path.read_text() != content
    now, _ = run_in(tmp_path, serving_before=RUN_ID)
    with pytest.raises(ChangedSince, match=rf"'gate_interactions.json' of run {RUN_ID} was changed.*restore that"):
        baseline_of(now, "interactions")


def test_a_champion_whose_manifest_is_not_the_one_that_mlflow_knows_is_refused(tmp_path: Path) -> None:
    before, _ = run_in(tmp_path)
    pass_gate(before, lambda: REPORT)
    finish(before, "features")
    champion = Champion(run_id=RUN_ID, version="3", judged=before.manifest.judged)
    now, _ = run_in(tmp_path, serving_before=RUN_ID, champion=champion)
    assert baseline_of(now, "interactions") == REPORT.profile
    before.keep(before.manifest.model_copy(update={"epoch": 9}))
    now.begin_stage("features")
    with pytest.raises(ChangedSince, match=f"manifest.json of run {RUN_ID} .*version 3 in MLflow.*restore that folder"):
        baseline_of(now, "interactions")


def test_a_baseline_of_older_code_is_taken_and_that_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    before, _ = run_in(tmp_path, bound=False)
    pass_gate(before, lambda: REPORT)
    finish(before, "features")
    now, _ = run_in(tmp_path, serving_before=RUN_ID)
    for _ in range(2):
        assert baseline_of(now, "interactions") == REPORT.profile
    (said,) = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert f"run {RUN_ID} was made by code that kept no digests (abc)" in said


def test_the_report_of_a_gate_that_failed_is_kept_too(tmp_path: Path) -> None:
    run, _ = run_in(tmp_path)
    failed = REPORT.model_copy(update={"passed": False, "expectations": (result("broken", passed=False),)})

    def judge() -> GateReport:
        raise GateFailed(failed)

    with pytest.raises(GateFailed, match="broken"):
        pass_gate(run, judge)
    assert GateReport.from_json(run.folder.read_bytes("gate_interactions.json").decode()) == failed


def test_a_baseline_that_is_gone_stops_the_run(tmp_path: Path) -> None:
    run, _ = run_in(tmp_path, serving_before=BEFORE)
    with pytest.raises(BaselineMissing, match=rf"{BEFORE} serves.*manifest.json is not there.*DISCOVERY_HOME"):
        baseline_of(run, "lists")


INPUTS = REPORT.model_copy(update={"gate": "inputs", "profile": sound_inputs()})


LISTS = REPORT.model_copy(update={"gate": "lists", "profile": list_profile()})


def test_what_came_in_for_the_run_that_serves_is_the_baseline(tmp_path: Path) -> None:
    before, _ = run_in(tmp_path)
    assert served_inputs(before) is None
    pass_gate(before, lambda: INPUTS)
    finish(before, "features", **{INPUT_FACT: {"passed": 6}})
    now, _ = run_in(tmp_path, serving_before=RUN_ID)
    assert served_inputs(now) == ServedInputs(AS_OF, sound_inputs())


def test_a_run_from_before_inputs_were_judged_is_no_baseline(tmp_path: Path) -> None:
    before, _ = run_in(tmp_path)
    for report in (REPORT, LISTS):
        pass_gate(before, lambda report=report: report)
    finish(before, "features", rows={})
    now, _ = run_in(tmp_path, serving_before=RUN_ID)
    reason = f"no baseline: run {RUN_ID} is from before this was counted"
    assert served_inputs(now) == ServedInputs(AS_OF, reason)
    need_baselines(now)


def test_a_report_on_inputs_that_is_gone_stops_the_run(tmp_path: Path) -> None:
    before, _ = run_in(tmp_path)
    finish(before, "features", **{INPUT_FACT: {}})
    now, _ = run_in(tmp_path, serving_before=RUN_ID)
    with pytest.raises(BaselineMissing, match=r"gate_inputs.json is not there"):
        need_baselines(now)


def test_what_features_count_is_what_the_gate_looks_at() -> None:
    day = PartialRecord(
        day=ago(1),
        fingerprint="f",
        settings_hash="r",
        rows=9,
        ignored=1,
        erased=0,
        dropped={"null_ts": 2},
        events={"a": 2, "b": 4},
        largest={"a": 1.0, "b": 1.0},
        users=3,
    )
    frame = cast("DataFrame", None)
    counts = Counts(
        snapshots={
            "sources": Snapshot(AS_OF, frame, erased=0, kept=8, eligible=4),
            "blocks": Snapshot(AS_OF, frame, 2, 5, 6),
        },
        windows={"clicks": Window(ago(3), AS_OF)},
        days={"clicks": (day, day.model_copy(update={"day": AS_OF, "users": 5}))},
    )
    assert input_profile(counts) == InputProfile(
        snapshots={
            "sources": SnapshotProfile(day=AS_OF, rows=8, eligible=4),
            "blocks": SnapshotProfile(day=AS_OF, rows=7, users=6),
        },
        events={
            "clicks": DaysProfile(
                start=ago(3),
                end=AS_OF,
                days=(DayProfile(day=ago(1), events=6, users=3), DayProfile(day=AS_OF, events=6, users=5)),
            )
        },
    )
