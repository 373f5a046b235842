"""The registry on a real SQLite store, and when nothing answers."""

import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from models.errors import RegistryError
from models.registry import Registry, RunInput, RunRecord


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store") / "not" / "yet" / "there"


@pytest.fixture(scope="module")
def registry(store: Path) -> Registry:
    return Registry(f"sqlite:///{store}/mlflow.db")


@pytest.fixture
def record(tmp_path: Path) -> RunRecord:
    (tmp_path / "gate.json").write_text("{}")
    return RunRecord(
        product="groups",
        run_id="20261116T030000Z-20261116-1",
        code_version="abc123",
        config="product: groups\n",
        params={f"p{n}": n for n in range(120)},  # more than MLflow takes at once
        metrics={"ndcg": 0.25},
        inputs=[RunInput("clicks", "f" * 64, "/data/clicks")],
        artifacts=tmp_path,
    )


def test_a_run_keeps_all_that_made_it(registry: Registry, store: Path, record: RunRecord) -> None:
    registry.check()
    run = MlflowClient(registry.tracking_uri).get_run(registry.log_run(record))
    assert run.info.status == "FINISHED"
    assert (run.data.params["p7"], len(run.data.params), run.data.metrics) == ("7", 120, {"ndcg": 0.25})
    assert run.data.tags["discovery.run_id"] == record.run_id
    assert run.data.tags["mlflow.source.git.commit"] == "abc123"
    dataset = run.inputs.dataset_inputs[0]
    assert (dataset.dataset.name, dataset.dataset.source, dataset.dataset.digest) == (
        "clicks",
        "/data/clicks",
        "f" * 36,
    )
    assert dataset.tags[0].value == "f" * 64
    kept = {path.name for path in store.rglob("artifacts/*")}
    assert kept == {"config.yml", "gate.json"}


def test_a_stage_that_runs_again_finds_its_run_and_version(registry: Registry, record: RunRecord) -> None:
    again = registry.log_run(record)
    assert registry.log_run(record) == again
    version = registry.register("groups", again, "file:///factors", {"run": record.run_id})
    assert registry.register("groups", again, "file:///factors", {"run": record.run_id}) == version
    other = registry.log_run(replace(record, run_id="20261123T030000Z-20261123-1"))
    assert other != again
    assert registry.register("groups", other, "file:///factors2", {}) != version


def _fail(*_: object) -> None:
    raise OSError("disk full")


def test_artifacts_that_are_not_there_are_an_error(registry: Registry, record: RunRecord, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="no folder"):
        registry.log_run(replace(record, artifacts=tmp_path / "missing"))


def test_an_interrupted_run_is_completed(registry: Registry, record: RunRecord) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MlflowClient, "log_text", _fail)
        with pytest.raises(RegistryError, match=r"log run broken.*disk full"):
            registry.log_run(replace(record, run_id="broken"))
    run = MlflowClient(registry.tracking_uri).get_run(registry.log_run(replace(record, run_id="broken")))
    assert (run.info.status, run.data.tags["discovery.run_id"]) == ("FINISHED", "broken")


def test_the_champion_before_stays_reachable(registry: Registry, record: RunRecord) -> None:
    record = replace(record, product="music")
    versions = []
    for number in (1, 2):
        run = registry.log_run(replace(record, run_id=f"music-{number}"))
        versions.append(registry.register("music", run, f"file:///factors{number}", {}))
    assert registry.champion("music") is None
    assert registry.champion("unknown") is None
    registry.promote_alias("music", versions[0])
    assert (registry.champion("music"), registry.version_at("music", "previous")) == (versions[0], None)
    for _ in range(2):  # again changes nothing
        registry.promote_alias("music", versions[1])
        assert registry.champion("music") == versions[1]
        assert registry.version_at("music", "previous") == versions[0]


def test_a_server_that_does_not_answer_fails_fast_and_keeps_the_password() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        registry = Registry(f"http://me:secret@127.0.0.1:{port}/mlflow?token=hidden")
        started = time.monotonic()
        with pytest.raises(RegistryError, match=rf"http://127\.0\.0\.1:{port}/mlflow.*MLFLOW_TRACKING_URI") as caught:
            registry.check()
    assert time.monotonic() - started < 30
    for shown in (str(caught.value), repr(registry)):
        assert "secret" not in shown
        assert "hidden" not in shown
    assert caught.value.__cause__ is None


def test_a_server_that_is_silent_fails_fast() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        registry = Registry(f"http://me:secret@127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        with pytest.raises(RegistryError, match="could not answer") as caught:
            registry.check()
    assert time.monotonic() - started < 30
    assert "secret" not in str(caught.value)


def test_a_store_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RegistryError, match="could not answer"):
        Registry(f"sqlite:///{tmp_path}/file/mlflow.db").check()


def test_the_tags_of_a_version_are_its_lineage(registry: Registry) -> None:
    run = registry.log_run(RunRecord("groups", "lineage", "abc", "", {}, {}))
    version = registry.register("groups", run, "file:///factors", {"discovery.run_id": "lineage"})
    assert registry.tags_of("groups", version)["discovery.run_id"] == "lineage"
    with pytest.raises(RegistryError, match="look up version 999"):
        registry.tags_of("groups", "999")
