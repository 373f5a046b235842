"""The operator's commands: text for a person, the same as JSON, an exit code for a script; and no Spark."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from publish.runs.registry import RunRegistry
from publish.wire.announcement import Announcement
from tests.jobs.commands import NOBODY, PASSWORD, Discovery
from tests.jobs.pressed import pressed
from tests.publish.support.pushing import announce, lists_of, load_directly, publish_directly, stored


def test_status_and_runs(discovery: Discovery, serving: Announcement, client: redis.Redis) -> None:
    late = announce(client, serving.product, lists_of(60))
    text, data = discovery("status").out, discovery("status", "--json").data
    assert f"serves        {serving.run} to 100 %, 60 lists as of 2026-11-16" in text
    assert f"on the way    {late.run} ANNOUNCED: 0 of 60 lists (0 %), 0 of 3 partitions verified" in text
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
    assert (data["user_id"], data["kind"], data["source_ids"], data["scores"]) == (7, "list", [8, 9], [2.0, 1.0])
    assert "the fallback list" in discovery("lookup", "7777").out
    assert discovery("lookup", "7777", "--json").data["kind"] == "fallback"


def test_negative_ids(discovery: Discovery, serving: Announcement) -> None:
    assert discovery("lookup", "-1", "--json").data["user_id"] == -1
    assert discovery("lookup", "--json", "-1").data["user_id"] == -1
    assert discovery("lookup", "--json", "--", str(-(2**63))).data["user_id"] == -(2**63)


def test_string_ids(discovery: Discovery, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Path(os.environ["DISCOVERY_CONFIG"])
    config.write_text(config.read_text().replace("ids: int64", "ids: string"))
    for user in ("", "x" * 256, "a\0b"):
        said = discovery("lookup", "--", user)
        assert said.code == 2
        assert "has string user ids, of 1 … 255 bytes of UTF-8 without NUL" in said.log
    for user in ("-1", "--json", "анна"):
        assert "nothing is published" in discovery("lookup", "--", user).log


def test_a_redis_that_may_not_keep_lists_is_told(discovery: Discovery, client: redis.Redis) -> None:
    before = {name: client.config_get(name)[name] for name in ("maxmemory", "maxmemory-policy")}
    try:
        client.config_set("maxmemory-policy", "allkeys-lru")
        assert (
            "ALARM         Redis has maxmemory-policy allkeys-lru and would throw lists away" in discovery("status").out
        )
        client.config_set("maxmemory", 0)
        said = discovery("status").out
        assert "used, of no limit" in said
        assert "ALARM         Redis has maxmemory 0 (no limit), so that the machine's memory would be the limit" in said
        planned = discovery("plan", "--users", "10")
        assert planned.code == 2
        assert "verdict  does not fit: Redis has maxmemory 0 (no limit)" in planned.out
        assert "set maxmemory" in planned.out
    finally:
        for name, value in before.items():
            client.config_set(name, value)


@pytest.mark.parametrize(("encoding", "words"), [("ascii", "status"), ("ascii", "--help"), ("latin-1", "status")])
def test_a_stdout_that_cannot_spell_everything(product: str, encoding: str, words: str) -> None:
    argv = [sys.executable, "-c", "from jobs.cli import main; main()", words]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run(argv, env=environment, capture_output=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert b"Error" not in done.stderr


def test_a_reader_who_has_gone_is_no_trace(product: str, serving: Announcement) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    argv = [sys.executable, "-c", "from jobs.cli import main; main()", "runs"]
    done = subprocess.run(argv, stdout=writer, stderr=subprocess.PIPE, check=False, timeout=300)
    os.close(writer)
    assert done.stderr == b""


@pytest.mark.parametrize("seconds", [0.0, 1.0, 3.0])
def test_ctrl_c_ends_a_command_with_one_line(product: str, seconds: float) -> None:
    """At whatever moment it comes: among the imports, or while it waits for a Redis that is silent."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0?socket_timeout=60"
        code, said = pressed(["-m", "jobs.cli", "status"], seconds, {"REDIS_URL": url})
    assert code == 130
    assert len(said) == 1
    assert "error     interrupted" in said[0]


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


def test_status_says_why_a_verified_run_does_not_serve(discovery: Discovery, client: redis.Redis, product: str) -> None:
    damaged, rebuilt = (publish_directly(client, product, first=True) for _ in range(2))
    copied = announce(client, product, lists_of(60), replicas=2)
    load_directly(client, copied, lists_of(60))
    client.hset(damaged.layout.state(damaged.run, 1), "state", "LOADING")
    registry = RunRegistry(client, product)
    status = registry.get(rebuilt.run).status.model_copy(update={"restoring": True})
    client.hset(registry.keys.runs, registry.keys.state_field(rebuilt.run), status.model_dump_json())
    said = discovery("status").out
    assert f"{damaged.run} (postponed: Redis lost writes of partitions 1; a running loader loads them again)" in said
    assert f"{rebuilt.run} (postponed: Redis was lost and is being rebuilt)" in said
    assert "3 of 3 partitions verified" in said
    assert "postponed until 2 replicas of each master have it" in said


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
        (["lookup", str(2**70)], 2, "from −2⁶³ to 2⁶³ − 1"),
        (["lookup", "1_0"], 2, "user '1_0': "),
        (["lookup", "１２"], 2, "user '１２': "),
        (["lookup", "007"], 2, "without spaces, +, _ or leading zeros"),
        (["lookup", "+5"], 2, "user '+5': "),
        (["lookup", " 12 "], 2, "user ' 12 ': "),
        (["lookup", "-0"], 2, "user '-0': "),
        (["lookup", "7" * 5_000], 2, "give a whole number"),
        (["lookup", ""], 2, "user '': "),
        (["lookup", "--jsn"], 2, "there is no option --jsn"),
        (["lookup", "-x"], 2, "there is no option -x"),
        (["forget", "-1", "--jsn"], 2, "unexpected extra argument(s) (--jsn)"),
        (["lookup", "\udcff"], 2, "what is typed must be UTF-8"),
        (["wait", "\udcff"], 2, "what is typed must be UTF-8"),
        (["share", "101"], 2, "outside 0 … 100 %"),
        (["share", "nan"], 2, "not a number"),
        (["share", "12.3456"], 2, "finer than a basis point"),
        (["share", "many"], 2, "as a number"),
        (["wait", NOBODY], 1, f"there is no run {NOBODY}"),
        (["promote", NOBODY], 1, "`discovery runs` lists them"),
        (["rollback", "--to", NOBODY], 1, f"there is no run {NOBODY}"),
        (["clear", NOBODY], 1, f"there is no run {NOBODY}"),
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


def test_status_while_kafka_is_away(discovery: Discovery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    away = discovery("status")
    assert away.code == 0
    assert "dead letters  0" in away.out
    assert "warning   Kafka at 127.0.0.1:1 does not answer as expected" in away.log


def test_spark_need_not_be_installed(product: str) -> None:
    """An import of pyspark, models' or features' heavy libraries would fail here, as on an operator's machine."""
    code = "import sys; sys.modules.update(dict.fromkeys(['pyspark', 'implicit', 'great_expectations'])); "
    code += "from jobs.cli import main; main()"
    argv = [sys.executable, "-c", code, "status", "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["serving"] is None


def test_verify_reads_a_run_back(discovery: Discovery, serving: Announcement, client: redis.Redis) -> None:
    assert discovery("verify", serving.run, "--json").data["whole"] is True
    place = serving.layout.bucket(serving.run, *serving.layout.place_of(5))
    client.hdel(place, "5")
    said = discovery("verify", serving.run)
    assert said.code == 4
    assert f"partition {serving.layout.partition_of(5)}: " in said.out
    assert discovery("verify", NOBODY).code == 1


def test_what_is_on_its_way_or_cleared_is_not_verified(
    discovery: Discovery, serving: Announcement, client: redis.Redis
) -> None:
    late = announce(client, serving.product, lists_of(60))
    assert f"discovery wait {late.run}" in discovery("verify", late.run).log


def test_status_warns_of_a_serving_run_that_lost_writes(
    discovery: Discovery, serving: Announcement, client: redis.Redis
) -> None:
    client.hset(serving.layout.state(serving.run, 1), "state", "LOADING")
    assert discovery("status", "--json").data["damaged_partitions"] == [1]
    assert "ALARM         partitions 1 of the run that serves are not whole" in discovery("status").out


def test_status_tells_pace_and_time_left(discovery: Discovery, serving: Announcement, client: redis.Redis) -> None:
    late = announce(client, serving.product, lists_of(60))
    RunRegistry(client, serving.product).start_loading(late.run)
    for partition, loaded in enumerate((5, 10, 0)):
        times = {"since": "2026-11-16T03:00:00+00:00", "touched": f"2026-11-16T03:00:{loaded:02}+00:00"}
        client.hset(late.layout.state(late.run, partition), mapping={"state": "LOADING", "loaded": loaded, **times})
    (run,) = discovery("status", "--json").data["on_the_way"]
    assert run["lists_per_second"] == 1.5  # 15 lists in 10 seconds
    assert "2/s, 30 s left" in discovery("status").out
