"""The real thing: spark-submit, a loader process, Kafka and Redis; the week after; back again; and a killed run."""

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import yaml

from conf.contract import UserId, bucket_of, partition_of
from deploy.service import REPO, shell_variables
from jobs.build_features import build_features
from models.registry import Registry as ModelRegistry
from publish.control import Control
from publish.reader import Answer
from tests.e2e.conftest import LAST, WEEK_BEFORE, Literal, write_days
from tests.e2e.product import Ended, Product, Servers

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

REFERENCE = yaml.safe_load((REPO / "conf/prod_discovery.yml").read_text())
WINDOWS = {"reactions": 10, "clicks": 9, "joins": 14}
"""Days of each event dataset in the reference config, said once more so that the check is independent of it."""
PASSWORD = "hunter2-hunter2"
Pairs = set[tuple[UserId, UserId]]


@dataclass(frozen=True)
class Served:
    """A run that serves, and what was seen of it right then."""

    run: str
    ended: Ended
    answers: dict[UserId, Answer]
    payloads: dict[UserId, bytes | None]
    champion: str | None
    commands: dict[str, Any]


@pytest.fixture(scope="module")
def product(servers: Servers, int_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Product:
    """The reference product under another name, with an MLflow store of its own."""
    home = tmp_path_factory.mktemp("chain")
    made = Product.create(servers, home, _reference("chain", int_world))
    guarded = servers.redis.replace("redis://", f"redis://default:{PASSWORD}@")  # a Redis without one takes any
    return replace(made, variables={"MLFLOW_TRACKING_URI": f"sqlite:///{home}/mlflow.db", "REDIS_URL": guarded})


@pytest.fixture(scope="module")
def loader(product: Product) -> Iterator[subprocess.Popen[bytes]]:
    """The loader as `make up` starts it; it must end by itself when asked to."""
    argv = [sys.executable, "-m", "jobs.cli", "load", *product.flags()]
    with (product.home / "loader.log").open("wb") as log:
        process = subprocess.Popen(argv, cwd=REPO, env=_variables(product), stderr=log, start_new_session=True)
        try:
            yield process
            process.terminate()
            assert process.wait(30) == 0, (product.home / "loader.log").read_text()
        finally:
            process.kill()


@pytest.fixture(scope="module")
def first(product: Product, loader: subprocess.Popen[bytes]) -> Served:
    """The first run, by spark-submit."""
    with _submitted(product, "--as-of", str(WEEK_BEFORE), "--first") as (job, log):
        code = job.wait(300)
    ended = Ended(code, log.read_text(), "")
    assert ended.code == 0, ended.log
    return _look(product, ended)


@pytest.fixture(scope="module")
def second(product: Product, first: Served, shared_spark: "SparkSession") -> Served:
    """The run of the week after."""
    ended = product.run("--as-of", str(LAST))
    assert ended.code == 0, ended.log
    return _look(product, ended)


def test_every_list_is_served_as_it_was_computed(product: Product, first: Served) -> None:
    snapshot = product.folder(first.run).table("snapshot").to_table().to_pylist()
    assert len(snapshot) > 500
    for row in snapshot:
        answer = first.answers[row["user_id"]]
        assert (answer.run, answer.source) == (first.run, "list")
        assert list(answer.source_ids) == row["source_ids"]
        assert list(answer.scores) == row["scores"]
    lists = product.folder(first.run).table("lists").to_table().to_pylist()
    kept = {row["user_id"]: (row["source_ids"], row["scores"]) for row in lists}
    assert {row["user_id"]: (row["source_ids"], row["scores"]) for row in snapshot} == kept
    unknown = first.answers.keys() - kept.keys()  # of the audience, but without any event or exclusion
    assert all(first.answers[user].source == "fallback" for user in unknown)


def test_no_list_holds_what_it_must_not(int_world: Path, product: Product, first: Served) -> None:
    _check_lists(int_world, WEEK_BEFORE, product.folder(first.run).table("snapshot").to_table().to_pylist())


def test_the_commands_agree(first: Served) -> None:
    status, runs, wait, lookup = (first.commands[name] for name in ("status", "runs", "wait", "lookup"))
    assert status["pointer"]["treatment"] == status["serving"]["run"] == first.run
    assert status["pointer"]["share_bp"] == 10_000
    assert (status["on_the_way"], status["waiting"], status["dead_letters"]) == ([], [], 0)
    assert [(run["run"], run["state"], run["serves_as"]) for run in runs] == [(first.run, "READY", "treatment")]
    assert wait == {"run": first.run, "outcome": "SERVING", "reason": ""}
    answer = first.answers[lookup["user_id"]]
    assert (lookup["run"], lookup["source_ids"]) == (first.run, list(answer.source_ids))


def test_mlflow_holds_the_run(product: Product, first: Served) -> None:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(product.environment["MLFLOW_TRACKING_URI"])
    model, manifest = product.manifest(first.run).fact("train", "model"), product.manifest(first.run)
    run = client.get_run(model["mlflow_run"])
    assert run.info.status == "FINISHED"
    assert run.data.params["as_of"] == str(WEEK_BEFORE)
    assert run.data.params["train.factors"] == "8"
    assert run.data.params["config_hash"] == manifest.request.config_hash
    assert {"judged_ndcg", "judged_popularity_ndcg", "interactions", "users"} <= run.data.metrics.keys()
    assert {given.dataset.name for given in run.inputs.dataset_inputs} == {*WINDOWS, *_SNAPSHOTS}
    version = client.get_model_version(product.name, model["version"])
    assert version.tags["discovery.run_id"] == first.run
    assert Path(version.source, "user_factors").is_dir()
    assert first.champion == model["version"]


def test_the_manifest_is_complete(product: Product, first: Served) -> None:
    manifest = product.manifest(first.run)
    assert list(manifest.stages) == ["features", "train", "topn", "publish", "serve"]
    inputs = {record["name"]: record for record in manifest.fact("features", "inputs")}
    assert inputs.keys() == {*WINDOWS, *_SNAPSHOTS}
    for name, days in WINDOWS.items():  # and two older days that only the judged recipe reads
        assert [day["day"] for day in inputs[name]["days"]] == _texts(WEEK_BEFORE, days + 2)
    fingerprints = [day["fingerprint"] for record in inputs.values() for day in record["days"]]
    assert all(fingerprints)
    assert len(set(fingerprints)) == len(fingerprints)
    assert manifest.settings == product.settings.model_dump(mode="json")
    assert (manifest.failure, manifest.serving_before, manifest.epoch) == (None, None, 1)
    assert manifest.code_version
    assert manifest.libraries["implicit"]
    counts = {**manifest.fact("publish", "counts"), **manifest.fact("serve", "counts")}
    assert set(counts) == {"computed", "produced", "readable"}
    assert set(counts.values()) == {product.folder(first.run).table("lists").count_rows()}
    assert all(stage.peak_bytes["driver"] > 0 and stage.seconds >= 0 for stage in manifest.stages.values())


def test_no_secret_is_written_down(product: Product, first: Served, second: Served) -> None:
    assert PASSWORD in product.environment["REDIS_URL"]
    files = [file for file in product.home.rglob("*") if file.is_file()]
    assert {"loader.log", "job.log", "manifest.json", "mlflow.db"} <= {file.name for file in files}
    assert [file for file in files if PASSWORD.encode() in file.read_bytes()] == []
    assert PASSWORD not in first.ended.log + second.ended.log + json.dumps(first.commands)


def test_the_week_after(product: Product, first: Served, second: Served) -> None:
    manifest = product.manifest(second.run)
    inputs = {record["name"]: record for record in manifest.fact("features", "inputs")}
    for name, days in WINDOWS.items():
        known = [day for day in _texts(LAST, days + 2) if day < str(WEEK_BEFORE)]
        assert inputs[name]["partials_reused"] == known
        assert inputs[name]["partials_rebuilt"] == _texts(LAST, 7)
    assert manifest.serving_before == first.run
    for gate, names in (("interactions", "max_change_of_rows max_divergence"), ("lists", "max_change_of_lists")):
        report = json.loads(product.folder(second.run).read_bytes(f"gate_{gate}.json"))
        assert {row["name"] for row in report["expectations"] if row["passed"]} >= set(names.split())
    assert second.commands["status"]["pointer"]["previous"] == first.run
    assert {answer.run for answer in second.answers.values()} == {second.run}
    assert second.champion != first.champion
    assert second.payloads != first.payloads


def test_back_to_the_first_run_and_held(product: Product, first: Served, second: Served) -> None:
    back = product.discovery("rollback", "--reason", "complaints", "--json")
    assert back.code == 0, back.log
    pointer = json.loads(back.out)
    assert pointer["treatment"] == first.run
    assert "complaints" in pointer["hold"]["reason"]
    assert _payloads(product, first.run) == first.payloads
    answers = {user: replace(answer, age_seconds=None) for user, answer in _answers(product).items()}
    assert answers == {user: replace(answer, age_seconds=None) for user, answer in first.answers.items()}

    third = product.run("--as-of", str(LAST))
    assert third.code == 3, third.log
    assert "complaints" in third.log
    run = product.run_ids[-1]
    assert f"run {first.run} serves on; `discovery unhold` and `discovery promote {run}`" in third.log
    assert product.discovery("wait", run).code == 3
    assert {answer.run for answer in _answers(product).values()} == {first.run}
    assert product.discovery("unhold").code == 0
    assert product.discovery("promote", run).code == 0
    assert {answer.run for answer in _answers(product).values()} == {run}


def test_string_ids(servers: Servers, string_world: Path, tmp_path: Path, shared_spark: "SparkSession") -> None:
    product = Product.create(servers, tmp_path, {**_reference("names", string_world), "ids": "string"})
    with product.loading():
        ended = product.run("--as-of", str(LAST), "--first")
    assert ended.code == 0, ended.log
    (run,) = product.run_ids
    rows = product.folder(run).table("snapshot").to_table().to_pylist()
    assert len(rows) > 500
    _check_lists(string_world, LAST, rows)
    for row in rows:
        assert isinstance(row["user_id"], str)
        answer = product.reader.lookup(row["user_id"]) if row["seq"] < 3 else None  # a few of each partition
        assert answer is None or (list(answer.source_ids), answer.run) == (row["source_ids"], run)
    told = product.discovery("lookup", rows[0]["user_id"], "--json")
    assert json.loads(told.out)["source_ids"] == rows[0]["source_ids"]


def test_a_killed_run_goes_on_where_it_was(servers: Servers, tmp_path: Path, shared_spark: "SparkSession") -> None:
    product = Product.create(servers, tmp_path, write_days(tmp_path / "data", Literal.crowd(), product="killed"))
    run = "20261116T030000Z-20261116-1"
    flags = ["--as-of", str(LAST), "--first", "--run-id", run]
    with _submitted(product, *flags) as (job, log):
        while "features" not in _stages(product, run):
            assert job.poll() is None, log.read_text()
            time.sleep(0.05)
        os.killpg(job.pid, signal.SIGKILL)
        job.wait()
    before = product.manifest(run)
    assert "serve" not in before.stages
    written = {file: file.stat().st_mtime_ns for file in _tables_of_features(product, run)}

    other = product.change({"lists": {"n": 3}}).run(*flags, work=build_features)
    assert other.code == 1
    assert "config_hash" in other.log
    assert "start a new run" in other.log

    with product.loading():
        ended = product.run(*flags)
    assert ended.code == 0, ended.log
    assert "features  finished in a former attempt" in ended.log
    after = product.manifest(run)
    assert after.stages["features"] == before.stages["features"]
    assert {file: file.stat().st_mtime_ns for file in _tables_of_features(product, run)} == written
    assert product.published().pointer.treatment == run


_SNAPSHOTS = ("subscriptions", "sources", "blocks", "audience")


def _reference(name: str, world: Path) -> dict[str, Any]:
    kept = {key: REFERENCE[key] for key in ("datasets", "interactions", "split")}
    return {"product": name, "data_root": str(world), **kept}


def _variables(product: Product) -> dict[str, str]:
    return {**os.environ, **shell_variables(product.home, product.servers.variables), **product.environment}


@contextmanager
def _submitted(product: Product, *flags: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """spark-submit in a process group of its own, and its log."""
    path = product.home / "job.log"
    argv = ["spark-submit", "--master", "local[2]", "jobs/prod_discovery.py", *product.flags(*flags)]
    variables = _variables(product)
    with path.open("wb") as log:
        job = subprocess.Popen(argv, cwd=REPO, env=variables, stdout=log, stderr=log, start_new_session=True)
        try:
            yield job, path
        finally:
            if job.poll() is None:
                os.killpg(job.pid, signal.SIGKILL)
                job.wait()


def _look(product: Product, ended: Ended) -> Served:
    run = product.run_ids[-1]
    answers = _answers(product)
    told = {
        "status": product.discovery("status", "--json"),
        "runs": product.discovery("runs", "--json"),
        "wait": product.discovery("wait", run, "--json"),
        "lookup": product.discovery("lookup", str(next(iter(answers))), "--json"),
    }
    assert {name: said.code for name, said in told.items()} == dict.fromkeys(told, 0), told
    champion = ModelRegistry(product.environment["MLFLOW_TRACKING_URI"]).champion(product.name)
    commands = {name: json.loads(said.out) for name, said in told.items()}
    return Served(run, ended, answers, _payloads(product, run), champion, commands)


def _answers(product: Product) -> dict[UserId, Answer]:
    reader, users = product.reader, _newest(Path(product.settings.data_root) / "audience", LAST)
    return {row["user_id"]: reader.lookup(row["user_id"]) for row in users}


def _payloads(product: Product, run: str) -> dict[UserId, bytes | None]:
    """The bytes that Redis holds for each user of a run, found by the contract and not by our reader."""
    said = Control.connect(product.client, product.name).registry.get(run).announcement
    rows = product.folder(run).table("snapshot").to_table(columns=["user_id"])["user_id"].to_pylist()
    found: dict[UserId, bytes | None] = {}
    for user in rows:
        tag = said.tags[partition_of(user, said.partitions)]
        key = f"{{{tag}}}:{run}:b:{bucket_of(user, said.partitions, said.buckets)}"
        found[user] = product.client.hget(key, str(user))
    return found


def _stages(product: Product, run: str) -> list[str]:
    return list(product.manifest(run).stages) if product.folder(run).exists("manifest.json") else []


def _tables_of_features(product: Product, run: str) -> list[Path]:
    folder = product.home / "runs" / product.name / run
    return sorted(
        path for name in ("interactions", "exclusions", "holdout") for path in (folder / name).glob("*.parquet")
    )


def _check_lists(world: Path, as_of: dt.date, rows: list[dict[str, Any]]) -> None:
    """No list of `rows` holds a source that is seen, subscribed, blocked, owned or not eligible in the raw datasets."""
    midnight = dt.datetime.combine(as_of, dt.time(), dt.UTC)
    barred: Pairs = set()
    for name, days in WINDOWS.items():
        for day in _texts(as_of, days):
            barred |= _pairs(pq.read_table(world / name / f"dt={day}").to_pylist())
    barred |= _pairs(_newest(world / "subscriptions", as_of)) | _pairs(_newest(world / "blocks", as_of))
    catalogue = _newest(world / "sources", as_of)
    barred |= {(row["owner_id"], row["source_id"]) for row in catalogue}
    active = {r["source_id"] for r in catalogue if r["status"] == "active" and r["created_at"] < midnight}
    listed = {(row["user_id"], source) for row in rows for source in row["source_ids"]}
    assert len(barred) > 1_000
    assert 0 < len(active) < len(catalogue)
    assert not listed & barred
    assert {source for _, source in listed} <= active
    assert all(len(set(row["source_ids"])) == len(row["source_ids"]) <= 10 for row in rows)
    assert sum(len(row["source_ids"]) == 10 for row in rows) > len(rows) / 2


def _pairs(rows: list[dict[str, Any]]) -> Pairs:
    return {(row["user_id"], row["source_id"]) for row in rows}


def _newest(dataset: Path, as_of: dt.date) -> list[dict[str, Any]]:
    newest = max(path for path in dataset.glob("dt=*") if path.name <= f"dt={as_of}")
    rows: list[dict[str, Any]] = ds.dataset(newest, format="parquet").to_table().to_pylist()
    return rows


def _texts(end: dt.date, days: int) -> list[str]:
    """The days before `end`, oldest first."""
    return [str(end - dt.timedelta(days=ago)) for ago in range(days, 0, -1)]
