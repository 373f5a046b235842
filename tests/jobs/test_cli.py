"""The operator's commands: text for a person, the same as JSON, an exit code for a script; and no Spark."""

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

from jobs import cli
from publish.announcement import Announcement
from tests.features.world import settings
from tests.publish.pushing import announce, lists_of, publish_directly, stored

_NUMBERS = itertools.count()
PASSWORD = "hunter2-hunter2"
NOBODY = "20261116T030000Z-20261116-9"


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    log: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


Discovery = Callable[..., Said]


@pytest.fixture
def client(redis_url: str) -> redis.Redis:
    return redis.Redis.from_url(redis_url)


@pytest.fixture
def product(tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A product of this test alone, named by the environment; there is no Kafka, so pointers are kept in Redis only."""
    name = f"operated_{os.getpid()}_{next(_NUMBERS)}"
    tree = settings().model_dump(mode="json") | {"product": name}
    (tmp_path / "product.yml").write_text(yaml.safe_dump(tree))
    monkeypatch.setenv("DISCOVERY_CONFIG", str(tmp_path / "product.yml"))
    monkeypatch.setenv("DISCOVERY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("REDIS_URL", redis_url.replace("redis://", f"redis://default:{PASSWORD}@"))
    for variable in ("KAFKA_BOOTSTRAP_SERVERS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(variable, raising=False)
    return name


@pytest.fixture
def discovery(product: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Discovery:
    """Runs a command as the console script does."""

    def run(*words: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["discovery", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        shown = capsys.readouterr()
        assert PASSWORD not in shown.out + shown.err
        return Said(int(end.value.code or 0), shown.out, shown.err)

    return run


@pytest.fixture
def serving(client: redis.Redis, product: str, discovery: Discovery) -> Announcement:
    """A run that was promoted by hand."""
    run = publish_directly(client, product, first=True)
    assert discovery("promote", run.run).code == 0
    return run


def test_nothing_is_there_yet(discovery: Discovery) -> None:
    assert "serves        nothing yet" in discovery("status").out
    assert discovery("status", "--json").data["pointer"]["treatment"] is None
    assert discovery("runs").out == "no run was announced yet\n"
    assert discovery("runs", "--json").data == []
    lookup = discovery("lookup", "42")
    assert lookup.code == 1
    assert "nothing is published" in lookup.log
    assert lookup.out == ""


def test_status_and_runs(discovery: Discovery, serving: Announcement, client: redis.Redis) -> None:
    late = announce(client, serving.product, lists_of(60))
    text, data = discovery("status").out, discovery("status", "--json").data
    assert f"serves        {serving.run} to 100 %, 60 lists as of 2026-11-16" in text
    assert f"on the way    {late.run} ANNOUNCED: 0 of 60 lists, 0 of 3 partitions verified" in text
    assert data["serving"]["run"] == serving.run
    assert [run["run"] for run in data["on_the_way"]] == [late.run]
    assert data["memory"]["used"] > 0
    lines = discovery("runs").out.splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [
        [serving.run, "2026-11-16", "READY"],
        [late.run, "2026-11-16", "ANNOUNCED"],
    ]
    assert [(run["run"], run["serves_as"]) for run in discovery("runs", "--json").data] == [
        (serving.run, "treatment"),
        (late.run, None),
    ]


def test_lookup(discovery: Discovery, serving: Announcement) -> None:
    text = discovery("lookup", "7").out
    assert "user    7, treatment arm (100 % are in the treatment)" in text
    assert "a list of their own" in text
    assert f"from    {serving.run}" in text
    assert "sources 2: 8 (2.000), 9 (1.000)" in text
    data = discovery("lookup", "7", "--json").data
    assert (data["user_id"], data["source"], data["source_ids"], data["scores"]) == (7, "list", [8, 9], [2.0, 1.0])
    assert "the fallback list" in discovery("lookup", "7777").out
    assert discovery("lookup", "7777", "--json").data["source"] == "fallback"


def test_share_and_the_kill_switch(discovery: Discovery, serving: Announcement) -> None:
    assert f"25 % of the audience are served by {serving.run}" in discovery("share", "25").out
    assert "(capped at 25 %)" in discovery("status").out
    data = discovery("share", "0", "--json").data
    assert (data["served_bp"], data["asked_bp"], data["covered_bp"]) == (0, 0, 10_000)
    assert "nothing: the control arm" in discovery("lookup", "7").out
    assert discovery("share", "100", "--json").data["served_bp"] == 10_000


def test_a_share_beyond_what_the_run_covers_is_told(discovery: Discovery, client: redis.Redis, product: str) -> None:
    run = publish_directly(client, product, first=True, share_bp=2_500)
    discovery("promote", run.run)
    assert "25 % of the audience are served" in (said := discovery("share", "50").out)
    assert "50 % were asked for, and that run covers 25 %" in said


def test_hold_rollback_wait_clear(discovery: Discovery, serving: Announcement, client: redis.Redis) -> None:
    newer = publish_directly(client, serving.product)
    assert discovery("clear", serving.run).code == 1
    assert discovery("hold", "--reason", "a look first").code == 0
    assert "hold          since" in discovery("status").out
    assert f"waiting       {newer.run}" in discovery("status").out
    held = discovery("promote", newer.run)
    assert held.code == 3
    assert "a look first" in held.log
    assert discovery("wait", newer.run).code == 3
    assert discovery("unhold", "--json").data["hold"] is None
    assert discovery("promote", newer.run, "--json").data["treatment"] == newer.run
    assert discovery("wait", newer.run).out == f"run {newer.run} serves\n"
    back = discovery("rollback", "--reason", "complaints", "--json").data
    assert (back["treatment"], back["previous"]) == (serving.run, None)
    assert "complaints" in back["hold"]["reason"]
    waited = discovery("wait", newer.run, "--json")
    assert (waited.code, waited.data["outcome"]) == (4, "FAILED")
    assert "readers may still hold a pointer to it" in discovery("clear", newer.run).log
    assert discovery("rollback").code == 1


def test_what_nobody_needs_can_be_cleared(discovery: Discovery, client: redis.Redis, product: str) -> None:
    spare = publish_directly(client, product)
    assert stored(client, spare)
    assert discovery("clear", spare.run, "--json").data == {"run": spare.run, "cleared": True}
    assert not stored(client, spare)


def test_waiting_has_an_end(discovery: Discovery, client: redis.Redis, product: str) -> None:
    run = announce(client, product, lists_of(9))
    waited = discovery("wait", run.run, "--deadline", "0.1", "--json")
    assert (waited.code, waited.data["outcome"]) == (5, "DEADLINE")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["lookup", "anna"], 2, "has int64 user ids; give a whole number"),
        (["lookup", str(2**70)], 1, "have int64 ids"),
        (["share", "101"], 2, "outside 0 … 100 %"),
        (["share", "nan"], 2, "not a number"),
        (["share", "12.3456"], 2, "finer than a basis point"),
        (["share", "many"], 2, "as a number"),
        (["wait", NOBODY], 1, f"nobody announced a run {NOBODY}"),
        (["promote", NOBODY], 1, "`discovery runs` lists them"),
        (["rollback", "--to", NOBODY], 1, f"nobody announced a run {NOBODY}"),
        (["clear", NOBODY], 1, f"nobody announced a run {NOBODY}"),
        (["status", "--config", "nowhere.yml"], 2, "nowhere.yml: cannot be read"),
        (["load"], 2, "KAFKA_BOOTSTRAP_SERVERS is not set"),
        (["frobnicate"], 2, "No such command"),
    ],
)
def test_bad_input(discovery: Discovery, serving: Announcement, words: list[str], code: int, said: str) -> None:
    before = discovery("status", "--json").data["pointer"]
    ended = discovery(*words)
    assert ended.code == code
    assert said in " ".join(ended.log.split())
    assert ended.out == ""
    assert discovery("status", "--json").data["pointer"] == before


def test_redis_that_is_down_or_not_named(discovery: Discovery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://default:{PASSWORD}@127.0.0.1:1/0")
    down = discovery("status")
    assert down.code == 1
    assert "Redis at redis://***@127.0.0.1:1/0: cannot be reached" in down.log
    monkeypatch.delenv("REDIS_URL")
    assert discovery("status").code == 2


def test_spark_need_not_be_installed(product: str) -> None:
    """An import of pyspark, models' or features' heavy libraries would fail here, as on an operator's machine."""
    code = "import sys; sys.modules.update(dict.fromkeys(['pyspark', 'implicit', 'great_expectations'])); "
    code += "from jobs.cli import main; main()"
    argv = [sys.executable, "-c", code, "status", "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["serving"] is None
