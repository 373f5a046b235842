"""The first task of a product with a ramp: which share the run covers."""

import datetime as dt
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import PRODUCT, Bag, dag_run

RAMP = "rollout: {ramp: {guardrails: {events: {margin: 0.01}}}}\n"
STAGES = ["build_features", "train_embeddings", "precompute_topn", "publish_topn"]
FIRST, LAST_WAIT, AFTER_WAITS = 1, 12, 13


def load(bag: Bag, folder: Path, text: str) -> Any:
    (folder / "music.yml").write_text(PRODUCT.format(name="music") + text)
    loaded = bag(folder)
    assert loaded.import_errors == {}
    return loaded.dags


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "env" / "bin").mkdir(parents=True)
    monkeypatch.setenv("DISCOVERY_JOB_ENV", str(tmp_path / "env"))
    return tmp_path / "env" / "bin"


def rendered(dag: Any, task_id: str, decided: float | None, **params: object) -> Any:
    """A copy of the task with its templates rendered after the first task decided this."""
    from airflow.sdk.definitions.param import process_params

    run, task = dag_run(dag), dag.get_task(task_id).prepare_for_execution()
    pulled = {"decide_share": decided}
    task.render_template_fields(
        {
            "dag": dag,
            "dag_run": run,
            "run_id": run.run_id,
            "params": process_params(dag, task, params, suppress_exception=False),
            "ti": SimpleNamespace(xcom_pull=lambda task_ids: pulled[task_ids]),
        }
    )
    return task


@pytest.mark.parametrize("text", ["", "rollout: {share: 0.5}", "rollout: {ramp: null}", "rollout: yes"])
def test_without_a_ramp_the_dag_is_as_ever(bag: Bag, tmp_path: Path, text: str) -> None:
    dag = load(bag, tmp_path, text)["music"]
    assert [task.task_id for task in dag.topological_sort()] == [*STAGES, "wait_until_serving"]


def test_it_comes_first_in_both_dags_and_waits_as_others_do(bag: Bag, tmp_path: Path) -> None:
    keys = "dag: {refresh_schedule: 0 3 * * TUE-SUN, decide_share_minutes: 7, wait_minutes: 9}"
    dags = load(bag, tmp_path, f"{RAMP}{keys}")
    for name in ("music", "music_refresh"):
        tasks = dags[name].topological_sort()
        assert [task.task_id for task in tasks] == ["decide_share", *STAGES, "wait_until_serving"]
        decide = tasks[0]
        assert decide.downstream_task_ids == {"build_features"}
        assert (decide.retries, decide.wait_retries) == (14, 12)
        assert (decide.retry_delay, decide.execution_timeout) == (dt.timedelta(minutes=9), dt.timedelta(minutes=7))


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    ("decided", "params", "flags"),
    [
        (0.05, {}, ["--audience-share", "0.05"]),
        (None, {}, []),
        (None, {"audience_share": 0.5}, ["--audience-share", "0.5"]),
        (0.05, {"audience_share": 0.01}, ["--audience-share", "0.01"]),
        (0.05, {"audience_share": 0.5}, ["--audience-share", "0.05"]),
    ],
)
def test_every_stage_gets_its_share_which_a_person_may_only_lower(
    bag: Bag, tmp_path: Path, stage: str, decided: float | None, params: dict[str, object], flags: list[str]
) -> None:
    words = rendered(load(bag, tmp_path, RAMP)["music"], stage, decided, **params).application_args
    at = words.index("--trigger-id") + 2
    assert words[at:] == flags


def execute(dag: Any, environment: Path, code: int, says: str, try_number: int) -> tuple[float | None, str]:
    """Executes the task while `discovery` writes this and ends with `code`; its result, and what it was called with."""
    log = environment / "log"
    script = f"#!/bin/sh\necho \"$@\" >> '{log}'\necho 'a line of the log'\necho '{says}'\nexit {code}\n"
    (environment / "discovery").write_text(script)
    (environment / "discovery").chmod(0o755)
    task = rendered(dag, "decide_share", None)
    try:
        found = task.execute({"ti": SimpleNamespace(try_number=try_number, max_tries=task.retries)})
    finally:
        called = log.read_text()
    return found, called


@pytest.mark.parametrize(
    ("says", "share"), [('{"audience_share": 0.05, "decision": {}}', 0.05), ('{"audience_share": null}', None)]
)
def test_its_result_is_the_share(bag: Bag, tmp_path: Path, environment: Path, says: str, share: float | None) -> None:
    found, called = execute(load(bag, tmp_path, RAMP)["music"], environment, 0, says, FIRST)
    assert found == share
    assert called == f"experiment decide --config {tmp_path / 'music.yml'} --as-of 2026-11-16 --json --wait\n"


@pytest.mark.parametrize(("try_number", "waits"), [(FIRST, True), (LAST_WAIT, True), (AFTER_WAITS, False)])
def test_it_waits_for_outcomes_and_decides_without_them_in_the_end(
    bag: Bag, tmp_path: Path, environment: Path, try_number: int, waits: bool
) -> None:
    dag = load(bag, tmp_path, RAMP)["music"]
    _, called = execute(dag, environment, 0, '{"audience_share": 0.01}', try_number)
    assert ("--wait" in called) == waits


@pytest.mark.parametrize("code", [2, 4])
def test_bad_input_and_a_stop_are_not_tried_again(bag: Bag, tmp_path: Path, environment: Path, code: int) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    with pytest.raises(AirflowFailException, match=f"exit code {code}"):
        execute(load(bag, tmp_path, RAMP)["music"], environment, code, "", FIRST)


@pytest.mark.parametrize(("code", "says"), [(75, ""), (1, ""), (0, "no JSON"), (0, "[]")])
def test_all_else_is(bag: Bag, tmp_path: Path, environment: Path, code: int, says: str) -> None:
    from airflow.sdk.exceptions import AirflowException, AirflowFailException

    with pytest.raises(AirflowException) as raised:
        execute(load(bag, tmp_path, RAMP)["music"], environment, code, says, FIRST)
    assert not isinstance(raised.value, AirflowFailException)
