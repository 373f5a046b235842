"""Loaders, Redis and the topic failing in the middle of a push."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from conf.connections import KafkaConnection, RedisConnection
from conf.settings import PublishSettings
from deploy.redis_server import RedisServer
from publish import load_partition
from publish.clients import admin_client, redis_client
from publish.loader import Loader
from publish.registry import Registry
from publish.topic import ensure_topics
from publish.wait import Outcome
from tests.publish.pushing import (
    PARTITIONS,
    agrees,
    announce,
    eventually,
    expected,
    lists_of,
    loading,
    messages_of,
    new_product,
    outcome_of,
    progress,
    send,
    served,
    stored,
    wire_of,
)

USERS = 6_000


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that a test may kill."""
    with RedisServer(tmp_path / "redis") as server:
        yield server


@pytest.mark.parametrize("killer", [signal.SIGKILL, signal.SIGTERM], ids=["kill", "term"])
def test_a_killed_loader_is_resumed_exactly(
    kafka: KafkaConnection, redis_url: str, clean_redis: redis.Redis, killer: signal.Signals
) -> None:
    product, lists = new_product(kafka), lists_of(USERS)
    run = announce(clean_redis, product, lists, first=True)
    send(kafka, run.layout.topic, wire_of(run, lists))
    command = [sys.executable, "-m", "tests.publish.slow_loader", kafka.servers, redis_url, product]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], env=os.environ) as process:
        eventually(lambda: progress(clean_redis, run) > USERS // 10)
        process.send_signal(killer)
    assert progress(clean_redis, run) < USERS
    with loading(kafka, clean_redis, product):
        assert outcome_of(clean_redis, run).outcome is Outcome.SERVING
    assert served(clean_redis, product, list(range(USERS))) == expected(run, lists)
    agrees(clean_redis, product)


def test_redis_killed_in_the_middle_loses_nothing(
    kafka: KafkaConnection, own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_partition, "MAX_BATCH", 5)
    with redis_client(RedisConnection.of(own_redis.url)) as client:
        product, lists = new_product(kafka), lists_of(USERS)
        run = announce(client, product, lists, first=True)
        time.sleep(1.2)  # the append-only file is written every second, and the announcement must survive
        with loading(kafka, client, product) as loader:
            send(kafka, run.layout.topic, wire_of(run, lists))
            eventually(lambda: progress(client, run) > USERS // 10)
            own_redis.kill()
            eventually(lambda: not loader.metrics.is_healthy)
            own_redis.start()
            assert outcome_of(client, run).outcome is Outcome.SERVING
        assert served(client, product, list(range(USERS))) == expected(run, lists)
        assert not messages_of(kafka, run.layout.dead_letter_topic)


def test_a_redis_that_lost_everything_is_waited_for_and_nothing_is_buried(
    kafka: KafkaConnection, clean_redis: redis.Redis
) -> None:
    product, lists = new_product(kafka), lists_of(300)
    run = announce(clean_redis, product, lists, first=True)
    saved = clean_redis.hgetall(run.layout.runs), clean_redis.get(run.layout.epoch)
    send(kafka, run.layout.topic, wire_of(run, lists))
    clean_redis.flushall()
    with loading(kafka, clean_redis, product) as loader:
        eventually(lambda: loader.metrics.registry.get_sample_value(
            "discovery_loader_faults_total", {"product": product}) != 0)  # fmt: skip
        assert not messages_of(kafka, run.layout.dead_letter_topic)
        clean_redis.hset(run.layout.runs, mapping=saved[0])
        clean_redis.set(run.layout.epoch, saved[1])
        assert outcome_of(clean_redis, run).outcome is Outcome.SERVING
    assert stored(clean_redis, run).keys() == {str(user).encode() for user in lists}


def test_a_full_redis_is_waited_for(
    kafka: KafkaConnection, own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_partition, "MAX_BATCH", 5)
    with redis_client(RedisConnection.of(own_redis.url)) as client:
        product, lists = new_product(kafka), lists_of(USERS)
        run = announce(client, product, lists, first=True)
        with loading(kafka, client, product) as loader:
            send(kafka, run.layout.topic, wire_of(run, lists))
            eventually(lambda: progress(client, run) > USERS // 20)
            client.config_set("maxmemory", 1)
            eventually(lambda: not loader.metrics.is_healthy)
            client.config_set("maxmemory", "256mb")
            assert outcome_of(client, run).outcome is Outcome.SERVING
        assert served(client, product, list(range(USERS))) == expected(run, lists)


def test_a_run_that_does_not_fit_fails_before_its_first_record(kafka: KafkaConnection, own_redis: RedisServer) -> None:
    with redis_client(RedisConnection.of(own_redis.url)) as client:
        product, lists = new_product(kafka), lists_of(2_000)
        run = announce(client, product, lists, first=True)
        with loading(kafka, client, product):
            client.config_set("maxmemory", client.info("memory")["used_memory"] + 100_000)
            send(kafka, run.layout.topic, wire_of(run, lists))
            waited = outcome_of(client, run)
        assert waited.outcome is Outcome.FAILED
        assert "does not fit into Redis" in waited.reason
        assert not stored(client, run)
        assert not client.exists(run.layout.state(run.run, 0))


def test_two_loaders_share_the_partitions_and_one_may_leave(
    kafka: KafkaConnection, clean_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_partition, "MAX_BATCH", 5)
    product, lists = new_product(kafka), lists_of(USERS)
    run = announce(clean_redis, product, lists, first=True)
    with loading(kafka, clean_redis, product):
        with loading(kafka, clean_redis, product):
            send(kafka, run.layout.topic, wire_of(run, lists))
            eventually(lambda: progress(clean_redis, run) > USERS // 10)
        assert outcome_of(clean_redis, run).outcome is Outcome.SERVING
    assert served(clean_redis, product, list(range(USERS))) == expected(run, lists)


def test_a_recreated_topic_is_loaded_from_its_beginning(kafka: KafkaConnection, clean_redis: redis.Redis) -> None:
    product, lists = new_product(kafka), lists_of(200)
    first = announce(clean_redis, product, lists, first=True)
    send(kafka, first.layout.topic, wire_of(first, lists))
    topic, admin = first.layout.topic, admin_client(kafka)
    with loading(kafka, clean_redis, product):
        assert outcome_of(clean_redis, first).outcome is Outcome.SERVING
        admin.delete_topics([topic])[topic].result(10)
        eventually(lambda: topic not in admin.list_topics(timeout=10).topics)
        ensure_topics(kafka, Registry(clean_redis, product).keys, PublishSettings(partitions=PARTITIONS))
        second = announce(clean_redis, product, lists)
        send(kafka, topic, wire_of(second, lists))
        assert outcome_of(clean_redis, second).outcome is Outcome.SERVING
    assert served(clean_redis, product, list(range(200))) == expected(second, lists)


def test_a_loader_refuses_a_redis_that_evicts(kafka: KafkaConnection, own_redis: RedisServer) -> None:
    with redis_client(RedisConnection.of(own_redis.url)) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        with pytest.raises(Exception, match="maxmemory-policy allkeys-lru"):
            Loader(kafka, client, "groups")
