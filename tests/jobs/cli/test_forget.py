"""`discovery forget`: said to a person, as JSON to a script, and refused without what it needs."""

import pytest
import redis

from conf.connections import KafkaConnection
from publish.runs.erasures import ErasureLog
from publish.wire.announcement import Announcement
from tests.jobs.commands import Discovery
from tests.publish.support.pushing import stored


def test_forget(
    discovery: Discovery,
    serving: Announcement,
    client: redis.Redis,
    kafka: KafkaConnection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka.servers)
    said = discovery("forget", "7", "--reason", "ticket 12")
    assert said.code == 0, said.log
    assert said.out.splitlines()[0].startswith("user    7 is forgotten since 20")
    assert said.out.splitlines()[0].endswith("Z: ticket 12")
    assert f"deleted from {serving.run} (1 kept runs looked into)" in said.out
    assert discovery("lookup", "7", "--json").data["kind"] == "fallback"
    assert discovery("lookup", "8", "--json").data["kind"] == "list"
    assert discovery("verify", serving.run).code == 0
    assert "answers 0 deleted from " in said.out
    again = discovery("forget", "7", "--json").data
    assert (again["user"], again["reason"], again["known_before"]) == ("7", "ticket 12", True)
    assert (again["looked_into"], again["removed_from"]) == ([serving.run], [])
    assert [erasure.reason for erasure in ErasureLog(kafka, serving.product).read()] == ["ticket 12"]


def test_without_kafka_it_is_refused(discovery: Discovery, serving: Announcement, client: redis.Redis) -> None:
    before = stored(client, serving)
    said = discovery("forget", "7")
    assert said.code == 2
    assert "KAFKA_BOOTSTRAP_SERVERS is not set" in said.log
    assert stored(client, serving) == before


def test_who_cannot_be_a_user(
    discovery: Discovery, product: str, kafka: KafkaConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka.servers)
    for nobody in ("007", "somebody", "1_000"):
        said = discovery("forget", nobody)
        assert said.code == 1
        assert "int64 ids" in said.log
    assert ErasureLog(kafka, product).read() == ()
