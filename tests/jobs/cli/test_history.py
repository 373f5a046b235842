"""`discovery history`: text, JSON, the file, and what it says where it cannot say everything."""

import getpass
import socket
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import redis

from conf import contract
from conf.connections import KafkaConnection
from jobs.cli import history
from publish.connect.clients import check_broker
from publish.runs.history import kept_history
from publish.wire.announcement import Announcement
from publish.wire.keys import ProductKeys
from tests.jobs.commands import Discovery
from tests.publish.support.pushing import publish_directly
from tests.publish.support.samples import closed_port

ME = f"{getpass.getuser()}@{socket.gethostname()}"


def test_who_was_served_when(
    discovery: Discovery,
    broker: KafkaConnection,
    serving: Announcement,
    client: redis.Redis,
    product: str,
    tmp_path: Path,
) -> None:
    newer = publish_directly(client, product)
    for words in (
        ["share", "25", "--reason", "a quarter first"],
        ["promote", newer.run, "--reason", "looks good"],
        ["rollback", "--reason", "complaints"],
    ):
        assert discovery(*words).code == 0
    reasons = ["promoted by hand", "a quarter first", "looks good", "complaints"]
    assert [change.reason for change in kept_history(broker, ProductKeys(product)).entries] == reasons

    said = discovery("history")
    assert (said.code, said.log) == (0, "")
    head, *lines = said.out.splitlines()
    assert head.split()[:5] == ["revision", "since", "(UTC)", "until", "(UTC)"]
    assert [line.split()[0] for line in lines] == ["1", "2", "3", "4"]
    assert [line.rpartition(ME)[2].strip() for line in lines] == reasons
    assert lines[0].split()[3:5] == lines[1].split()[1:3]  # until the next one
    assert f"now                  {serving.run}" in lines[3]
    assert "  25 %   25 %" in lines[3]
    assert "  held  " in lines[3]
    assert "  held  " not in lines[2]

    data = discovery("history", "--json").data
    assert (data["earlier"], data["gaps"]) == (0, [])
    changes = data["changes"]
    assert [change["revision"] for change in changes] == [1, 2, 3, 4]
    assert changes[3] == {
        "revision": 4,
        "since": changes[3]["since"],
        "until": None,
        "treatment": serving.run,
        "control": None,
        "salt": "discovery-1",
        "share_bp": 2_500,
        "cap_bp": 2_500,
        "hold": changes[3]["hold"],
        "reason": "complaints",
        "who": ME,
    }
    assert "complaints" in changes[3]["hold"]
    assert datetime.fromisoformat(changes[2]["until"]) == datetime.fromisoformat(changes[3]["since"])

    said = discovery("history", "--limit", "1")
    assert [line.split()[0] for line in said.out.splitlines()[1:-1]] == ["4"]
    assert said.out.splitlines()[-1] == "3 earlier ones: --limit 4"
    assert discovery("history", "--limit", "1", "--json").data["earlier"] == 3
    tomorrow = str(datetime.now(UTC).date() + timedelta(days=1))
    now = discovery("history", "--since", tomorrow, "--json").data["changes"]
    assert [change["revision"] for change in now] == [4]
    assert len(discovery("history", "--since", "2026-01-01", "--json").data["changes"]) == 4

    file = tmp_path / "history.parquet"
    assert f"4 changes written to {file}" in discovery("history", "--limit", "1", "--out", str(file)).log
    found = pq.read_table(file)
    assert found.schema == contract.pointer_history()
    assert found.column("reason").to_pylist() == reasons
    nowhere = discovery("history", "--out", str(tmp_path / "no" / "such.parquet"))
    assert (nowhere.code, nowhere.out) == (2, "")
    assert "cannot be written" in nowhere.log


def test_a_day_is_a_day(discovery: Discovery) -> None:
    wrong = discovery("history", "--since", "yesterday")
    assert (wrong.code, wrong.out) == (2, "")
    assert "--since 'yesterday' is not a day; write YYYY-MM-DD" in wrong.log


def test_without_kafka_it_is_what_redis_keeps(
    discovery: Discovery, serving: Announcement, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = discovery("history", "--json")
    assert (said.code, len(said.data["changes"])) == (0, 1)
    assert "this is what Redis keeps, perhaps not all there is: KAFKA_BOOTSTRAP_SERVERS is not set" in said.log
    assert "KAFKA_BOOTSTRAP_SERVERS is not set" in said.data["gaps"][0]["what"]
    assert "changes that are not in Kafka yet: 1" in discovery("status").out
    assert discovery("status", "--json").data["unsent_changes"] == 1
    file = tmp_path / "history.parquet"
    assert discovery("history", "--out", str(file)).code == 2
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", f"127.0.0.1:{closed_port()}")
    monkeypatch.setattr(history, "check_broker", partial(check_broker, timeout=0.5))
    assert len(discovery("history", "--json").data["changes"]) == 1
    assert discovery("history", "--out", str(file)).code == 1
    assert not file.exists()


def test_gaps_are_told(
    discovery: Discovery, serving: Announcement, broker: KafkaConnection, client: redis.Redis
) -> None:
    keys = ProductKeys(serving.product)
    old = client.get(keys.pointer)
    client.set(keys.pointer, old.replace(b'"rev":1', b'"rev":5'))
    discovery("hold")
    said = discovery("history")
    assert said.code == 0
    assert "warning   before 20" in said.log
    assert "revisions 2 to 4 are missing" in said.log
    assert "not known  changed without its history" in said.out.splitlines()[2]


def test_nothing_was_served_yet(discovery: Discovery, broker: KafkaConnection) -> None:
    assert discovery("history").out == "nothing served yet, and nobody gave an order\n"
    assert discovery("history", "--json").data == {"changes": [], "earlier": 0, "gaps": []}


@pytest.mark.parametrize("words", [["hold"], ["unhold"], ["share", "5"], ["promote", "run"], ["rollback"]])
def test_a_reason_is_short(discovery: Discovery, words: list[str]) -> None:
    long = discovery(*words, "--reason", "x" * 1_001)
    assert (long.code, long.out) == (2, "")
    assert "--reason: 1,001 characters; say it in 1,000" in long.log
