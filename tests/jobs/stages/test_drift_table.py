"""What the drift gates found is in MLflow with the run's factors: metrics, the reports, the page."""

import itertools
import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from expectations.errors import GateFailed
from expectations.report import GateReport
from jobs.run.context import Run
from jobs.stages.drift_table import log_list_drift
from jobs.stages.gates import pass_gate
from jobs.storage.gate_reports import DRIFT_PAGE
from models.registry import ModelRegistry
from tests.expectations.drift.test_gate import LOST, finding, judged
from tests.jobs.lineages import register, run_of

_NUMBERS = itertools.count()
INPUTS = judged(LOST.model_copy(update={"mode": "warn"}), finding("users", state="learning", why="3 of 8 weeks"))


def lists_report(**other: Any) -> GateReport:
    fields: dict[str, Any] = {
        "kind": "lists",
        "subject": "lists",
        "value": 0.6,
        "expected": 0.5,
        "low": 0.4,
        "high": 0.6,
    }
    report = judged(finding("gini", **{**fields, **other}, days=LOST.days[-1:], made_of=("r",)))
    return report.model_copy(update={"gate": "list_drift"})


@pytest.fixture
def client(model_store: str) -> MlflowClient:
    return MlflowClient(model_store, model_store)


@pytest.fixture
def run(model_store: str, tmp_path: Path) -> Run:
    return run_of(ModelRegistry(model_store), tmp_path, product=f"drift_{next(_NUMBERS)}")


def mlflow_run(run: Run) -> str:
    return str(run.manifest.fact("train", "model")["mlflow_run"])


def drift_in(run: Run, client: MlflowClient) -> dict[str, float]:
    metrics = client.get_run(mlflow_run(run)).data.metrics
    return {name: value for name, value in metrics.items() if name.startswith("drift.")}


def file_in(run: Run, client: MlflowClient, name: str) -> bytes:
    return Path(client.get_run(mlflow_run(run)).info.artifact_uri.removeprefix("file://"), name).read_bytes()


def test_the_drift_of_the_inputs_is_logged_with_the_factors(run: Run, client: MlflowClient) -> None:
    pass_gate(run, lambda: INPUTS)
    run.folder.write_bytes(DRIFT_PAGE, b"<p>page</p>")
    register(run)
    found = drift_in(run, client)
    assert found.keys() == {"drift.clicks.events", "drift.alarms", "drift.learning"}
    assert found["drift.clicks.events"] < -1
    assert (found["drift.alarms"], found["drift.learning"]) == (1, 1)
    table = json.loads(file_in(run, client, "drift.json"))
    assert table == {"input_drift": json.loads(INPUTS.to_json())}
    assert file_in(run, client, "drift.html") == b"<p>page</p>"


def test_that_of_the_lists_is_added_and_counted_with_it(run: Run, client: MlflowClient) -> None:
    pass_gate(run, lambda: INPUTS)
    register(run)
    report = lists_report(state="learning")
    pass_gate(run, lambda: report)
    run.folder.write_bytes(DRIFT_PAGE, b"<p>both</p>")
    log_list_drift(run)
    found = drift_in(run, client)
    assert (found["drift.alarms"], found["drift.learning"]) == (1, 2)
    assert json.loads(file_in(run, client, "drift.json")).keys() == {"input_drift", "list_drift"}
    assert file_in(run, client, "drift.html") == b"<p>both</p>"
    assert client.get_run(mlflow_run(run)).info.status == "FINISHED"


def test_lists_that_do_not_pass_are_logged_too(run: Run, client: MlflowClient) -> None:
    register(run)

    def stopped() -> GateReport:
        return lists_report(state="alarm", value=0.9, p=1e-9)

    with pytest.raises(GateFailed) as caught:
        stopped()
    report = caught.value.report.model_copy(update={"gate": "list_drift"})
    run.folder.write_bytes("gate_list_drift.json", report.to_json().encode())
    log_list_drift(run)
    assert drift_in(run, client)["drift.lists.gini"] > 1
    assert drift_in(run, client)["drift.alarms"] == 1


def test_a_run_without_reports_is_logged_as_before(run: Run, client: MlflowClient) -> None:
    register(run)
    log_list_drift(run)
    assert drift_in(run, client) == {}
    with pytest.raises(FileNotFoundError):
        file_in(run, client, "drift.json")


def test_a_run_that_is_not_registered_yet_asks_nobody(run: Run) -> None:
    pass_gate(run, lambda: lists_report())
    log_list_drift(run)


def test_a_report_of_other_code_is_a_warning(run: Run, client: MlflowClient, caplog: pytest.LogCaptureFixture) -> None:
    document = json.loads(INPUTS.to_json()) | {"of_a_newer_version": 1}
    run.folder.write_bytes("gate_input_drift.json", json.dumps(document).encode())
    register(run)
    assert "MLflow does not get the drift of the inputs" in caplog.text
    assert drift_in(run, client) == {}


def test_a_registry_that_is_away_is_a_warning(run: Run, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    register(run)
    pass_gate(run, lambda: lists_report())
    away = ModelRegistry(f"sqlite:///{tmp_path}/no-folder\0/x.db")
    run.servers = replace(run.servers, registry=away)
    with caplog.at_level(logging.WARNING):
        log_list_drift(run)
    assert "MLflow does not have the drift of the lists" in caplog.text


def test_a_gate_that_could_not_measure_has_no_findings(run: Run, client: MlflowClient) -> None:
    broken = INPUTS.model_copy(update={"profile": None, "passed": False})
    run.folder.write_bytes("gate_input_drift.json", broken.to_json().encode())
    register(run)
    assert drift_in(run, client) == {"drift.alarms": 0, "drift.learning": 0}
