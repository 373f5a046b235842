"""`discovery model`: versions and what serves, one truth; refusals that say what to do."""

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
import yaml
from mlflow.tracking import MlflowClient

from models.registry import ModelRegistry
from tests.features.world import settings
from tests.jobs.commands import Discovery
from tests.jobs.lineages import made, register, run_of
from tests.publish.support.pushing import announce, lists_of, publish_directly

RUNS = [f"202611{day:02d}T030000Z-202611{day:02d}-1" for day in (2, 9, 16)]
Week = Callable[[int], str]


@pytest.fixture
def registry(model_store: str, product: str, monkeypatch: pytest.MonkeyPatch) -> ModelRegistry:
    """The session's store, named by the environment."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", model_store)
    return ModelRegistry(model_store)


@pytest.fixture
def week(registry: ModelRegistry, product: str, client: redis.Redis, discovery: Discovery, tmp_path: Path) -> Week:
    """Runs the weekly job of the week `at` up to READY lists; returns the version."""

    def publish(at: int) -> str:
        before = RUNS[at - 1] if at else None
        version = register(run_of(registry, tmp_path / "home", RUNS[at], product=product, serving_before=before))
        publish_directly(client, product, run=RUNS[at], first=at == 0)
        return version

    return publish


@pytest.fixture
def versions(week: Week, discovery: Discovery) -> list[str]:
    """Three weeks, each of which serves in its turn."""
    numbers = []
    for at, run in enumerate(RUNS):
        numbers.append(week(at))
        assert discovery("promote", run).code == 0
    return numbers


def roles(discovery: Discovery) -> dict[str, list[str]]:
    return {one["version"]: one["aliases"] for one in discovery("model", "list", "--json").data}


def test_list_says_what_each_version_is(discovery: Discovery, versions: list[str]) -> None:
    one, two, three = versions
    listed = discovery("model", "list", "--json").data
    assert [given["version"] for given in listed] == [three, two, one]
    assert roles(discovery) == {three: ["champion"], two: ["previous"], one: []}
    assert [given["serves_bp"] for given in listed] == [10_000, None, None]
    newest = listed[0]
    assert (newest["run"], newest["as_of"], newest["factors"]) == (RUNS[2], "2026-11-16", str(settings().train.factors))
    assert (newest["ndcg"], newest["low"], newest["high"], newest["k"]) == (0.1843, 0.1791, 0.1896, 20)
    assert newest["over_popularity"] == pytest.approx(0.1843 / 0.0931)
    text = discovery("model", "list", "--limit", "2").out.splitlines()
    assert [line.split()[0] for line in text] == ["version", three, two, "1"]
    assert text[-1] == "1 older ones: --limit 3"
    assert max(map(len, text)) <= 120
    assert discovery("model", "list").log == ""


def test_a_new_version_is_the_challenger_until_it_serves(
    discovery: Discovery, versions: list[str], registry: ModelRegistry, product: str, tmp_path: Path
) -> None:
    number = register(run_of(registry, tmp_path, "20261123T030000Z-20261123-1", product=product))
    assert roles(discovery)[number] == ["challenger"]
    assert roles(discovery)[versions[2]] == ["champion"]
    assert discovery("model", "show", "challenger", "--json").data["version"] == number


def test_show_tells_the_lineage(
    discovery: Discovery, versions: list[str], registry: ModelRegistry, product: str, tmp_path: Path
) -> None:
    data = discovery("model", "show", "champion", "--json").data
    run = run_of(registry, tmp_path / "home", RUNS[2], product=product, serving_before=RUNS[1])
    assert data["lineage"] == made(run).model_dump(mode="json")
    assert (data["version"], data["faults"], data["lineage"]["parent_version"]) == (versions[2], [], versions[1])
    text = discovery("model", "show", versions[2]).out
    assert f"version       {versions[2]} of {product}, champion, serves 100 % of the audience" in text
    said = discovery("model", "show", "champion", "--settings")
    assert yaml.safe_load(said.out) == data["lineage"]["settings"]
    assert said.log == ""  # no progress bar of MLflow either


def test_a_version_by_hand_is_doubted_and_never_serves(
    discovery: Discovery, versions: list[str], model_store: str, product: str
) -> None:
    client = MlflowClient(model_store, model_store)
    tags = client.get_model_version(product, versions[1]).tags
    by_hand = str(client.create_model_version(product, "/notebook/factors", tags=tags).version)
    client.set_registered_model_alias(product, "champion", by_hand)
    assert roles(discovery)[by_hand] == []  # what serves is said by the pointer
    assert f"the alias champion still names version {by_hand}" in discovery("model", "list").out
    assert "DOUBTED: no MLflow run stands behind it" in " ".join(discovery("model", "show", by_hand).out.split())
    for words in (["promote", by_hand], ["compare", by_hand, versions[0]], ["show", by_hand, "--settings"]):
        ended = discovery("model", *words)
        assert (ended.code, ended.out) == (2, "")
        assert "somebody registered it by hand" in ended.log
    assert discovery("model", "promote", "champion").code == 0
    assert "still names" not in discovery("model", "list").out


def test_compare(discovery: Discovery, versions: list[str]) -> None:
    data = discovery("model", "compare", "previous", "champion", "--json").data
    assert data["versions"] == versions[1:]
    assert (data["settings"], data["code"], data["inputs"], data["comparable"]) == ({}, {}, [], True)
    (ndcg,) = [figure for figure in data["figures"] if figure["name"] == "ndcg"]
    assert (ndcg["difference"], ndcg["intervals_overlap"]) == (0, True)
    assert "settings: no difference" in discovery("model", "compare", versions[0], versions[2]).out


def test_promoting_a_version_is_promoting_its_run(discovery: Discovery, versions: list[str], week: Week) -> None:
    again = discovery("model", "promote", "champion", "--json").data
    assert (again["version"], again["pointer"]["treatment"]) == (versions[2], RUNS[2])
    back = discovery("model", "promote", versions[1], "--reason", "complaints", "--json").data
    assert (back["version"], back["pointer"]["treatment"], back["pointer"]["previous"]) == (versions[1], RUNS[1], None)
    assert "complaints" in back["pointer"]["hold"]["reason"]
    assert roles(discovery) == {versions[2]: [], versions[1]: ["champion"], versions[0]: []}
    assert discovery("model", "show", "champion", "--json").data["promoted"].endswith("Z: complaints")
    revision = back["pointer"]["rev"]
    assert discovery("model", "promote", versions[1], "--json").data["pointer"]["rev"] == revision
    gone = discovery("model", "promote", versions[2])
    assert gone.code == 2
    assert f"run {RUNS[2]} of version {versions[2]} is ROLLED_BACK" in gone.log
    assert f"discovery model show {versions[2]} --settings" in gone.log
    assert "start a new run: spark-submit jobs/prod_discovery.py --config" in gone.log


def test_promoting_is_guarded(discovery: Discovery, week: Week, client: redis.Redis) -> None:
    first, second = week(0), week(1)
    assert discovery("model", "promote", first).code == 0
    discovery("hold", "--reason", "a look first")
    held = discovery("model", "promote", "challenger")
    assert (held.code, "a look first" in held.log) == (3, True)
    assert roles(discovery) == {second: ["challenger"], first: ["champion"]}
    discovery("unhold")
    assert "version       " + second in discovery("model", "promote", "challenger").out
    assert roles(discovery) == {second: ["champion"], first: ["previous"]}


def test_rolling_back_serves_the_version_before_once(discovery: Discovery, versions: list[str]) -> None:
    back = discovery("model", "rollback", "--reason", "complaints", "--json").data
    assert (back["version"], back["pointer"]["treatment"]) == (versions[1], RUNS[1])
    assert "complaints" in back["pointer"]["hold"]["reason"]
    pointer = discovery("status", "--json").data["pointer"]
    again = discovery("model", "rollback")  # never further back than one
    assert (again.code, again.out) == (1, "")
    assert "there is no run to go back to" in again.log
    assert discovery("status", "--json").data["pointer"] == pointer


def test_a_run_on_its_way_or_never_published(
    discovery: Discovery,
    versions: list[str],
    registry: ModelRegistry,
    product: str,
    client: redis.Redis,
    tmp_path: Path,
) -> None:
    numbers = []
    for at, run in enumerate(["20261123T030000Z-20261123-1", "20261130T030000Z-20261130-1"]):
        numbers.append(register(run_of(registry, tmp_path, run, product=product)))
        if at == 0:
            announce(client, product, lists_of(60), run=run)
    assert "still on its way (ANNOUNCED): discovery wait" in discovery("model", "promote", numbers[0]).log
    unknown = discovery("model", "promote", numbers[1])
    assert (unknown.code, "is not known to Redis" in unknown.log) == (2, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "99"], "has no version '99'"),
        (["promote", "best"], "has no version 'best'"),
        (["compare", "1", "99"], "has no version"),
        (["show", "champion"], "nothing serves for"),
        (["show", "previous"], "to go back to"),
        (["list", "--limit", "0"], "greater than or equal to 1"),
    ],
)
def test_refusals_before_anything_serves(discovery: Discovery, week: Week, words: list[str], said: str) -> None:
    week(0)
    ended = discovery("model", *words)
    assert (ended.code, ended.out) == (2, "")
    assert said in " ".join(ended.log.split())


def test_no_challenger(discovery: Discovery, versions: list[str]) -> None:
    ended = discovery("model", "show", "challenger")
    assert (ended.code, "waits to serve" in ended.log) == (2, True)


@pytest.mark.parametrize("words", [["list"], ["show", "1"], ["compare", "1", "2"], ["promote", "1"]])
def test_a_product_without_a_model(
    discovery: Discovery, registry: ModelRegistry, product: str, tmp_path: Path, words: list[str]
) -> None:
    ended = discovery("model", *words)
    assert (ended.code, ended.out) == (2, "")
    assert f"has no model of {product} yet; the weekly job registers one: spark-submit" in ended.log


def test_looking_makes_no_store(discovery: Discovery, product: str, tmp_path: Path) -> None:
    assert discovery("model", "list").code == 2  # MLFLOW_TRACKING_URI is not set, and nobody made the default one
    assert not (tmp_path / "home" / "mlflow.db").exists()


def test_an_mlflow_that_is_away(discovery: Discovery, product: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@127.0.0.1:{unused.getsockname()[1]}")
        for words in (["list"], ["promote", "1"], ["rollback"]):
            ended = discovery("model", *words)
            assert (ended.code, ended.out) == (1, "")
            assert "could not answer" in ended.log
            assert "check MLFLOW_TRACKING_URI" in ended.log
            assert "secret" not in ended.log


def test_spark_need_not_be_installed(discovery: Discovery, versions: list[str]) -> None:
    code = "import sys; sys.modules.update(dict.fromkeys(['pyspark', 'implicit', 'great_expectations'])); "
    code += "from jobs.cli import main; main()"
    for words in (["show", "champion"], ["promote", "champion"]):
        argv = [sys.executable, "-c", code, "model", *words, "--json"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["version"] == versions[2]
