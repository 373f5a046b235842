"""The real thing: spark-submit, a loader process, Kafka and Redis; the week after; and back again."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pyarrow.dataset as ds
import pytest

from conf.ids import UserId, bucket_of, partition_of
from deploy.chain import REPO
from deploy.servers.processes import OwnerGuard
from jobs.cli.app import COMMANDS, Place
from jobs.run.report import REPORT, report_of
from jobs.storage.store import Storage
from models.golden.measure import NAME, VERSION
from models.registry import ModelRegistry
from publish.operate.control import Control
from publish.read.reader import Answer
from tests.e2e.conftest import LAST, WEEK_BEFORE
from tests.e2e.explained import check_list, check_pairs, explained
from tests.e2e.product import Ended, Product, Servers
from tests.e2e.raw import SNAPSHOTS, WINDOWS, check_lists, days_before, newest, reference
from tests.e2e.submit import submitted, variables_of
from tests.support.examples import changes
from tests.support.model_store import version_at

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PASSWORD = "hunter2-hunter2"
GOLDEN = f"{NAME} {VERSION}"
WORSE: dict[str, Any] = {
    "datasets": {"events": {"joins": {"window": "3 days ago:today"}, "clicks": {"window": "3 days ago:today"}}},
    "train": {"factors": 1, "regularization": 0.9},
}
"""A recipe that knows little and keeps less of it."""


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
    made = Product.create(servers, home, reference("chain", int_world))
    guarded = servers.redis.replace("redis://", f"redis://default:{PASSWORD}@")  # a Redis without one takes any
    return replace(made, variables={"MLFLOW_TRACKING_URI": f"sqlite:///{home}/mlflow.db", "REDIS_URL": guarded})


@pytest.fixture(scope="module")
def loader(product: Product) -> Iterator[subprocess.Popen[bytes]]:
    """The loader as `make up` starts it; it must end by itself when asked to."""
    argv = [sys.executable, "-m", "jobs.cli", "load", *product.flags()]
    with (product.home / "loader.log").open("wb") as log:
        process = subprocess.Popen(argv, cwd=REPO, env=variables_of(product), stderr=log, start_new_session=True)
        guard = OwnerGuard(process.pid)
        try:
            yield process
            process.terminate()
            assert process.wait(300) == 0, (product.home / "loader.log").read_text()
        finally:
            guard.release()
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def first(product: Product, loader: subprocess.Popen[bytes]) -> Served:
    """The first run, by spark-submit."""
    with submitted(product, "--as-of", str(WEEK_BEFORE), "--first") as (job, log):
        code = job.wait(900)
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
        assert (answer.run, answer.kind) == (first.run, "list")
        assert list(answer.source_ids) == row["source_ids"]
        assert list(answer.scores) == row["scores"]
    lists = product.folder(first.run).table("lists").to_table().to_pylist()
    kept = {row["user_id"]: (row["source_ids"], row["scores"]) for row in lists}
    assert {row["user_id"]: (row["source_ids"], row["scores"]) for row in snapshot} == kept
    unknown = first.answers.keys() - kept.keys()  # of the audience, but without any event or exclusion
    assert all(first.answers[user].kind == "fallback" for user in unknown)


def test_no_list_holds_what_it_must_not(int_world: Path, product: Product, first: Served) -> None:
    check_lists(int_world, WEEK_BEFORE, product.folder(first.run).table("snapshot").to_table().to_pylist())


def test_the_commands_agree(first: Served) -> None:
    status, runs, wait, lookup = (first.commands[name] for name in ("status", "runs", "wait", "lookup"))
    assert status["pointer"]["treatment"] == status["serving"]["run"] == first.run
    assert status["pointer"]["share_bp"] == 10_000
    assert (status["on_the_way"], status["waiting"], status["dead_letters"]) == ([], [], 0)
    assert [(run["run"], run["state"], run["serves_as"]) for run in runs] == [(first.run, "READY", "treatment")]
    assert wait == {"run": first.run, "outcome": "SERVING", "reason": ""}
    answer = first.answers[lookup["user_id"]]
    assert (lookup["run"], lookup["source_ids"]) == (first.run, list(answer.source_ids))


def test_mlflow_holds_the_run(product: Product, first: Served, tmp_path: Path) -> None:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(product.environment["MLFLOW_TRACKING_URI"])
    model, manifest = product.manifest(first.run).fact("train", "model"), product.manifest(first.run)
    run = client.get_run(model["mlflow_run"])
    assert run.info.status == "FINISHED"
    assert run.data.params["as_of"] == str(WEEK_BEFORE)
    assert run.data.params["train.factors"] == "8"
    assert run.data.params["config_hash"] == manifest.request.config_hash
    judged = {"judged.ndcg", "judged.ndcg.low", "judged.popularity.ndcg", "judged.item_knn.ndcg", "judged.heavy.recall"}
    assert judged | {"judged.over_popularity.ndcg", "interactions", "users"} <= run.data.metrics.keys()
    assert manifest.fact("train", "judged")["ndcg"] == run.data.metrics["judged.ndcg"]
    assert {given.dataset.name for given in run.inputs.dataset_inputs} == {*WINDOWS, *SNAPSHOTS, GOLDEN}
    kept = {file.path for file in client.list_artifacts(model["mlflow_run"], "model_card")}
    assert {"model_card/model_card.md", "model_card/model_card.html"} <= kept
    assert product.folder(first.run).exists("model_card/model_card.html")
    assert (run.data.metrics["drift.alarms"], run.data.metrics["drift.learning"] > 0) == (0, True)
    table, page = (
        client.download_artifacts(model["mlflow_run"], name, str(tmp_path)) for name in ("drift.json", "drift.html")
    )
    assert json.loads(Path(table).read_text()).keys() == {"input_drift", "list_drift"}
    assert Path(page).read_bytes() == product.folder(first.run).read_bytes("drift.html")
    report = Path(client.download_artifacts(model["mlflow_run"], REPORT, str(tmp_path)))
    assert report.read_bytes() == product.folder(first.run).read_bytes(REPORT)
    version = client.get_model_version(product.name, model["version"])
    assert version.tags["discovery.run_id"] == first.run
    assert Path(version.source, "user_factors").is_dir()
    assert first.champion == model["version"]


def test_the_log_shows_how_good_the_lists_are(first: Served) -> None:
    lines = first.ended.log.splitlines()
    start = next(at for at, line in enumerate(lines) if " judged on " in line)
    table = lines[start + 1 : start + 19]
    assert max(map(len, table)) <= 100
    assert [line.split()[0] for line in table[1:4]] == ["ours", "popularity", "item_knn"]
    segments = ["all", "cold (0)", "light (< 10)", "heavy (≥ 10)", "new, 7 days"]
    assert [line[:13].strip() for line in table[-5:]] == segments


def test_the_command_of_the_documentation_reads_the_tables(
    product: Product, first: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    ((_, _, code),) = changes("A command that reads tables")
    made = ModuleType("jobs.cli.listed")
    exec(code, made.__dict__)
    monkeypatch.setitem(sys.modules, made.__name__, made)
    monkeypatch.setitem(COMMANDS, "listed", Place(made.__name__, made.listed.__doc__ or ""))
    listed = product.discovery("listed", "--json")
    assert listed.code == 0, listed.log
    produced = product.manifest(first.run).fact("publish", "counts")["produced"]
    assert json.loads(listed.out) == {"run": first.run, "lists": produced}


def test_the_manifest_is_complete(product: Product, first: Served) -> None:
    manifest = product.manifest(first.run)
    assert list(manifest.stages) == ["features", "train", "topn", "publish", "serve"]
    made = [name for stage in manifest.stages.values() for name in stage.made]
    held = {Path(info.path).name for info in product.folder(first.run).files()}
    unbound = {"manifest.json", "model_card", "drift.html", "report.html"}
    assert (len(made), {*made}) == (len(held) - len(unbound), held - unbound)
    inputs = {record["name"]: record for record in manifest.fact("features", "inputs")}
    assert inputs.keys() == {*WINDOWS, *SNAPSHOTS}
    for name, days in WINDOWS.items():  # and two older days that only the judged recipe reads
        assert [day["day"] for day in inputs[name]["days"]] == days_before(WEEK_BEFORE, days + 2)
    fingerprints = [day["fingerprint"] for record in inputs.values() for day in record["days"]]
    assert all(fingerprints)
    assert len(set(fingerprints)) == len(fingerprints)
    assert manifest.settings == product.settings.model_dump(mode="json")
    assert (manifest.failure, manifest.serving_before, manifest.epoch) == (None, None, 1)
    assert manifest.code_version
    assert manifest.libraries["implicit"]
    counts = {**manifest.fact("publish", "counts"), **manifest.fact("serve", "counts")}
    assert set(counts) == {"computed", "produced", "loaded", "readable"}
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
        known = [day for day in days_before(LAST, days + 2) if day < str(WEEK_BEFORE)]
        assert inputs[name]["partials_reused"] == known
        assert inputs[name]["partials_rebuilt"] == days_before(LAST, 7)
    assert manifest.serving_before == first.run
    for gate, names in (("interactions", "max_change_of_rows max_divergence"), ("lists", "max_change_of_lists")):
        report = json.loads(product.folder(second.run).read_bytes(f"gate_{gate}.json"))
        assert {row["name"] for row in report["expectations"] if row["passed"]} >= set(names.split())
    assert second.commands["status"]["pointer"]["previous"] == first.run
    assert {answer.run for answer in second.answers.values()} == {second.run}
    assert second.champion != first.champion
    assert second.payloads != first.payloads
    training = manifest.fact("train", "training")
    assert (training["started"], training["from_run"], training["warm_runs"]) == ("warm", first.run, 1)
    assert training["kept_users"] + training["new_users"] == training["users"]
    assert "the recipe is that of the champion" in manifest.fact("train", "decision")["reason"]


def test_lists_are_explained(product: Product, first: Served, second: Served) -> None:
    rows = {row["user_id"]: row for row in product.folder(second.run).table("lists").to_table().to_pylist()}
    old = {row["user_id"]: row["source_ids"] for row in product.folder(first.run).table("lists").to_table().to_pylist()}
    personal = sorted(user for user, row in rows.items() if row["personal"] and user in old)
    others = [user for user, answer in second.answers.items() if answer.kind == "fallback"]
    popular = [user for user, row in rows.items() if not row["personal"]]
    for user in (*personal[:3], *popular[:1]):
        said = explained(product, user)
        assert (said["run"], said["state"], said["stored"]["matches"]) == (second.run, "known", True)
        check_list(said, rows[user])
    said = explained(product, personal[0])
    check_pairs(said)
    assert (said["before"]["run"], said["before"]["row"]["source_ids"]) == (first.run, old[personal[0]])
    assert explained(product, personal[0], "--run", first.run)["row"]["source_ids"] == old[personal[0]]
    for user in others[:1]:
        assert explained(product, user)["kind"] == "fallback"
    looks = "".join(file.read_text() for file in (product.home / "looks" / product.name).iterdir())
    assert f'"user": {personal[0]}' in looks


def test_each_run_has_a_report(product: Product, first: Served, second: Served) -> None:
    home, lists = Storage(str(product.home)), f"{product.folder(second.run).table('lists').count_rows():,}"
    for served, said in ((first, "Nothing served before this run"), (second, f"Run {first.run}, as of {WEEK_BEFORE}")):
        page = product.folder(served.run).read_bytes(REPORT).decode()
        assert f"{REPORT}\n" in served.ended.log
        assert said in page
        assert "Went live for 100 % of the audience" in page
        assert report_of(home, product.name, served.run) == report_of(home, product.name, served.run)
    assert report_of(home, product.name, second.run) == page  # whoever makes it, and whenever
    for said in (f"{lists} computed → {lists} produced → {lists} loaded → {lists} readable", "Scores and norms"):
        assert said in page
    assert len(re.findall(r'<circle class="d ours"[^>]*><title>', page)) == 2  # a curve of both weeks
    shown = product.discovery("report", second.run, "--json")
    assert json.loads(shown.out) == {"run": second.run, "report": f"{product.folder(second.run).uri}/{REPORT}"}


def test_the_models_are_known_by_version(product: Product, first: Served, second: Served) -> None:
    listed = product.discovery("model", "list", "--json")
    assert listed.code == 0, listed.log
    known = [(one["version"], one["aliases"], one["run"], one["serves_bp"]) for one in json.loads(listed.out)]
    assert known == [
        (second.champion, ["champion"], second.run, 10_000),
        (first.champion, ["previous"], first.run, None),
    ]
    shown = json.loads(product.discovery("model", "show", "champion", "--json").out)
    lineage, manifest = shown["lineage"], product.manifest(second.run)
    assert (shown["faults"], lineage["parent_version"]) == ([], first.champion)
    assert (lineage["settings"], lineage["judged"]) == (manifest.settings, manifest.fact("train", "judged"))
    read = {record["name"]: record["days"] for record in manifest.fact("features", "inputs")}
    fingerprints = {name: [(day["day"], day["fingerprint"]) for day in days] for name, days in read.items()}
    kept = {one["name"]: [(day["day"], day["fingerprint"]) for day in one["days"]] for one in lineage["inputs"]}
    assert kept == fingerprints
    compared = product.discovery("model", "compare", "previous", "champion")
    assert compared.code == 0, compared.log
    assert "settings: no difference" in compared.out
    assert "judged on different hold-outs" in compared.out
    assert max(map(len, compared.out.splitlines())) <= 120


def test_back_to_the_first_run_and_held(product: Product, first: Served, second: Served) -> None:
    back = product.discovery("rollback", "--reason", "complaints", "--json")
    assert back.code == 0, back.log
    pointer = json.loads(back.out)
    assert pointer["treatment"] == first.run
    assert "complaints" in pointer["hold"]["reason"]
    assert version_at(ModelRegistry(product.environment["MLFLOW_TRACKING_URI"]), product.name) == first.champion
    assert _payloads(product, first.run) == first.payloads
    answers = {user: answer._replace(age_seconds=None) for user, answer in _answers(product).items()}
    assert answers == {user: answer._replace(age_seconds=None) for user, answer in first.answers.items()}

    third = product.change(WORSE).run("--as-of", str(LAST))
    assert third.code == 3, third.log
    assert "complaints" in third.log
    run = product.run_ids[-1]
    assert f"run {first.run} still serves; `discovery unhold` and `discovery promote {run}`" in third.log
    assert product.discovery("wait", run).code == 3
    assert {answer.run for answer in _answers(product).values()} == {first.run}
    assert product.discovery("unhold").code == 0
    assert product.discovery("promote", run).code == 0
    assert {answer.run for answer in _answers(product).values()} == {run}


def test_a_worse_recipe_is_judged_beside_the_champions_and_loses(product: Product, first: Served) -> None:
    run = product.run_ids[-1]
    manifest, folder = product.manifest(run), product.folder(run)
    judged, decision = manifest.fact("train", "judged"), manifest.fact("train", "decision")
    assert judged["over_champion.ndcg"] == pytest.approx(judged["ndcg"] - judged["champion.ndcg"])
    assert decision["winner"] == "champion"
    assert "not shown to be as good as the champion" in decision["reason"]
    assert {**manifest.settings["train"], **WORSE["train"]} == manifest.settings["train"]
    factors = folder.table("user_factors").head(1)["factors"][0]
    assert len(factors) == product.settings.train.factors
    assert folder.table("user_factors").count_rows() == _users(folder.table("champion_interactions"))
    assert _users(folder.table("interactions")) < _users(folder.table("champion_interactions"))
    shown = json.loads(product.discovery("model", "show", "champion", "--json").out)
    lineage, parent = (
        shown["lineage"],
        json.loads(product.discovery("model", "show", first.champion or "", "--json").out),
    )
    assert (shown["faults"], lineage["parent_version"]) == ([], first.champion)
    assert (lineage["decision"], lineage["recipe"]) == (decision, parent["lineage"]["recipe"])
    assert {given["name"]: len(given["days"]) for given in lineage["inputs"] if given["name"] in WINDOWS} == {
        name: days + 2 for name, days in WINDOWS.items()
    }


def _users(interactions: ds.Dataset) -> int:
    return len(interactions.to_table(["user_id"])["user_id"].unique())


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
    champion = version_at(ModelRegistry(product.environment["MLFLOW_TRACKING_URI"]), product.name)
    commands = {name: json.loads(said.out) for name, said in told.items()}
    return Served(run, ended, answers, _payloads(product, run), champion, commands)


def _answers(product: Product) -> dict[UserId, Answer]:
    reader, users = product.reader, newest(Path(product.settings.data_root) / "audience", LAST)
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
