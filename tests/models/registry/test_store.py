"""The registry on a real SQLite store, and when nothing answers."""

import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from mlflow.tracking import MlflowClient

from conf.environment import Environment
from models.errors import RegistryError, RegistryRefused
from models.registry import ModelRegistry, RunInput, RunRecord, Version
from tests.support.model_store import version_at


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store") / "not?yet" / "%41 there#"


@pytest.fixture(scope="module")
def registry(store: Path) -> ModelRegistry:
    """The one of a work folder with characters that mean something in a URL."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DISCOVERY_HOME", str(store))
        environment.delenv("MLFLOW_TRACKING_URI", raising=False)
        return ModelRegistry(Environment.read().need_mlflow())


@pytest.fixture(scope="module")
def web_page() -> Iterator[int]:
    """The port of a server that answers, and not as MLflow does."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def record(tmp_path: Path) -> RunRecord:
    (tmp_path / "gate.json").write_text("{}")
    return RunRecord(
        product="groups",
        run_id="20261116T030000Z-20261116-1",
        code_version="abc123",
        lineage='{"run": 1}\n',
        params={f"p{n}": n for n in range(120)},  # more than MLflow takes at once
        metrics={"ndcg": 0.25},
        inputs=[RunInput("clicks", "f" * 64, "/data/clicks")],
        artifacts=tmp_path,
    )


def test_a_run_keeps_all_that_made_it(registry: ModelRegistry, store: Path, record: RunRecord) -> None:
    registry.check()
    logged = registry.log_run(record)
    assert registry.lineage(logged) == record.lineage
    run = MlflowClient(registry.tracking_uri).get_run(logged)
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
    assert kept == {"lineage.json", "gate.json"}
    assert (store / "mlflow.db").is_file()
    assert list(store.parents[1].iterdir()) == [store.parent]  # and nothing beside the work folder
    assert list(store.parent.iterdir()) == [store]


def test_a_stage_that_runs_again_finds_its_run_and_version(registry: ModelRegistry, record: RunRecord) -> None:
    again = registry.log_run(record)
    assert registry.log_run(record) == again
    version = registry.register("groups", again, "file:///factors", {"run": record.run_id})
    assert registry.register("groups", again, "file:///factors", {"run": record.run_id}) == version
    other = registry.log_run(replace(record, run_id="20261123T030000Z-20261123-1"))
    assert other != again
    assert registry.register("groups", other, "file:///factors2", {}) != version


def _fail(*_: object) -> None:
    raise OSError("disk full")


def test_artifacts_that_are_not_there_are_an_error(registry: ModelRegistry, record: RunRecord, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="no folder"):
        registry.log_run(replace(record, artifacts=tmp_path / "missing"))


def test_an_interrupted_run_is_completed(registry: ModelRegistry, record: RunRecord) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MlflowClient, "log_text", _fail)
        with pytest.raises(RegistryError, match=r"log run broken.*disk full"):
            registry.log_run(replace(record, run_id="broken"))
    run = MlflowClient(registry.tracking_uri).get_run(registry.log_run(replace(record, run_id="broken")))
    assert (run.info.status, run.data.tags["discovery.run_id"]) == ("FINISHED", "broken")


def registered(registry: ModelRegistry, record: RunRecord, product: str, count: int) -> list[Version]:
    """Versions of a product of its own, the oldest first."""
    for number in range(count):
        run_id = f"{product}-{number}"
        run = registry.log_run(replace(record, product=product, run_id=run_id))
        registry.register(product, run, f"file:///factors{number}", {"discovery.run_id": run_id})
    return registry.versions(product)[::-1]


def test_the_newest_version_is_the_challenger_until_it_serves(registry: ModelRegistry, record: RunRecord) -> None:
    one, two, three = registered(registry, record, "music", 3)
    assert [version.number for version in registry.versions("music")] == [three.number, two.number, one.number]

    def named() -> dict[str, str | None]:
        return {alias: version_at(registry, "music", alias) for alias in ("champion", "challenger", "previous")}

    assert named() == {"champion": None, "challenger": three.number, "previous": None}
    registry.name_serving("music", one, None)
    assert named() == {"champion": one.number, "challenger": three.number, "previous": None}
    for _ in range(2):  # again changes nothing
        registry.name_serving("music", three, one)
        assert named() == {"champion": three.number, "challenger": None, "previous": one.number}
    registry.name_serving("music", one, None)  # going back: nothing is behind it now
    assert named() == {"champion": one.number, "challenger": None, "previous": None}
    registry.name_serving("music", None, None)
    assert version_at(registry, "music") is None


def test_versions_are_found_by_run_and_number(registry: ModelRegistry, record: RunRecord) -> None:
    one, two = registered(registry, record, "games", 2)
    assert registry.version_of("games", "games-1") == two
    assert registry.version_of("games", "nobody") is None
    assert registry.version_of("nothing", "games-1") is None
    assert registry.version("games", one.number) == one
    assert registry.version("games", "999") is None
    assert registry.versions("nothing") == []
    assert (two.run_id, two.source, two.aliases) == ("games-1", "file:///factors1", ("challenger",))
    copied = MlflowClient(registry.tracking_uri).create_model_version("games", "x", one.mlflow_run, tags=dict(one.tags))
    assert registry.version_of("games", "games-0") == one  # not the copy that somebody made later
    by_itself = registry.version("games", str(copied.version))
    assert by_itself is not None
    assert by_itself.run_id == "games-0"
    assert registry.register("games", one.mlflow_run or "", one.source, one.tags) == one.number


def test_a_version_by_hand_with_the_mlflow_run_of_another_is_not_taken_for_it(
    registry: ModelRegistry, record: RunRecord
) -> None:
    run = registry.log_run(replace(record, product="hands", run_id="hands-0"))
    registry._ensure_model("hands")
    by_hand = MlflowClient(registry.tracking_uri).create_model_version("hands", "file:///elsewhere", run)
    version = registry.register("hands", run, "file:///factors", {"discovery.run_id": "hands-0"})
    assert version != str(by_hand.version)
    found = registry.version("hands", str(by_hand.version))
    assert found is not None
    assert found.run_id is None


def test_what_is_logged_of_a_run(registry: ModelRegistry, record: RunRecord) -> None:
    run = registry.log_run(replace(record, run_id="looked-up"))
    logged = registry.logged(run)
    assert logged is not None
    assert (logged.run_id, logged.finished, logged.metrics["ndcg"]) == ("looked-up", True, 0.25)
    client = MlflowClient(registry.tracking_uri)
    client.delete_run(run)
    assert registry.logged(run) is None
    assert registry.logged("0" * 32) is None


def test_a_note_stays_with_the_version(registry: ModelRegistry, record: RunRecord) -> None:
    (one,) = registered(registry, record, "notes", 1)
    for text in ("first", "second"):
        registry.note(one, "discovery.promoted", text)
    noted = registry.version("notes", one.number)
    assert noted is not None
    assert noted.tags == {**one.tags, "discovery.promoted": "second"}


def test_looking_makes_no_store(tmp_path: Path) -> None:
    nobody = ModelRegistry(f"sqlite:///{tmp_path}/none/mlflow.db")
    assert nobody.is_new
    assert (nobody.versions("x"), nobody.version_of("x", "y")) == ([], None)
    nobody.name_serving("x", None, None)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_does_not_answer_fails_fast_and_keeps_the_password() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        registry = ModelRegistry(f"http://me:secret@127.0.0.1:{port}/mlflow?token=hidden")
        started = time.monotonic()
        with pytest.raises(RegistryError, match=rf"http://127\.0\.0\.1:{port}/mlflow.*MLFLOW_TRACKING_URI") as caught:
            registry.check()
    assert time.monotonic() - started < 100
    for shown in (str(caught.value), repr(registry)):
        assert "secret" not in shown
        assert "hidden" not in shown
    assert caught.value.__cause__ is None


def test_a_server_that_is_silent_fails_fast() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        registry = ModelRegistry(f"http://me:secret@127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        with pytest.raises(RegistryError, match="could not answer") as caught:
            registry.check()
    assert time.monotonic() - started < 100
    assert "secret" not in str(caught.value)


def test_a_store_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RegistryError, match="could not answer"):
        ModelRegistry(f"sqlite:///{tmp_path}/file/mlflow.db").check()


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("mysql://me:secret@127.0.0.1:{port}/x", "the Python package MySQLdb, which is not installed"),
        ("postgresql://me:secret@no.such.host.invalid/x", "the Python package psycopg, which is not installed"),
        ("mysql+nonsense://me:secret@127.0.0.1:{port}/x", "the driver that the address names, which is not installed"),
        ("nonsense://me:secret@host/x", "cannot be kept there; set MLFLOW_TRACKING_URI to http://"),
        ("databricks", "cannot be kept there"),
        ("127.0.0.1:5000", "cannot be kept there"),
        ("secret/runs", "cannot be kept there"),
        ("http://me:secret@127.0.0.1:99999", "names no host, or a port that is not a number"),
        ("http://me:secret@[::1", "names no host"),
        ("http://", "names no host"),
        ("sqlite:///", "a folder, not a file"),
        ("sqlite:////tmp", "a folder, not a file"),
        ("sqlite://", "cannot be kept there"),
        ("sqlite:///{file}", "must name an MLflow store"),
        ("http://me:secret@127.0.0.1:{port}", "must name an MLflow store, and a user it lets in"),
    ],
)
def test_an_address_that_can_never_work_is_refused_with_what_to_set(
    tmp_path: Path, web_page: int, uri: str, said: str
) -> None:
    (tmp_path / "text").write_text("no database" * 100)
    with pytest.raises(RegistryRefused) as caught:
        ModelRegistry(uri.format(port=web_page, file=tmp_path / "text")).check()
    assert said in str(caught.value)
    assert caught.value.exit_code == 2
    assert "me:secret" not in str(caught.value)
