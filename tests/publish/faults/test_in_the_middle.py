"""Faults 14, 15, 18 and 20 once more, with calls under way all the time: a few records each, thousands of them."""

import os
import signal
import subprocess
import sys

import pytest

from deploy.servers.redis_server import RedisServer
from publish.operate.wait import RunEnding
from tests.publish.support.processes import ROOT
from tests.publish.support.promise import World, kept
from tests.publish.support.pushing import await_file, eventually, loading, messages_of, progress, send, wire_of
from tests.publish.support.slow_loader import slow_down

USERS = 2_000


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loaders of this process load five records at a time."""
    slow_down(monkeypatch.setattr, records=5)


@pytest.mark.fault(14)
@pytest.mark.parametrize("killer", [signal.SIGKILL, signal.SIGTERM], ids=["kill", "term"])
def test_a_loader_is_killed_at_any_moment(world: World, redis_url: str, killer: signal.Signals) -> None:
    """14: in the middle of many calls."""
    lists = world.next_lists(USERS)
    run = world.announce(lists, first=True)
    wire = wire_of(run, lists)
    send(world.kafka, run.layout.topic, wire[: -USERS // 4])  # however late it is killed, it has not loaded all
    command = [sys.executable, "-m", "tests.publish.support.slow_loader", world.kafka.servers, redis_url, world.product]
    with subprocess.Popen(command, cwd=ROOT, env=os.environ) as process:
        eventually(lambda: progress(world.client, run) > USERS // 10)
        process.send_signal(killer)
    send(world.kafka, run.layout.topic, wire[-USERS // 4 :])
    with loading(world.kafka, world.client, world.product):
        assert kept(world, run, lists) is RunEnding.SERVING


@pytest.mark.fault(15)
@pytest.mark.usefixtures("slow")
def test_redis_is_killed_while_calls_are_under_way(own_world: World, own_redis: RedisServer) -> None:
    """15: calls that were made and not answered are made again, or not."""
    lists = own_world.next_lists(USERS)
    run = own_world.announce(lists, first=True)
    await_file(own_world.client)  # the announcement must survive
    with loading(own_world.kafka, own_world.client, own_world.product) as loader:
        own_world.send(run, lists)
        eventually(lambda: progress(own_world.client, run) > USERS // 10 and loader.metrics.is_healthy)
        own_redis.kill()
        eventually(lambda: not loader.metrics.is_healthy)
        own_redis.start()
        assert kept(own_world, run, lists) is RunEnding.SERVING
    assert not messages_of(own_world.kafka, run.layout.dead_letter_topic)


@pytest.mark.fault(18)
@pytest.mark.usefixtures("slow")
def test_redis_is_full_while_calls_are_under_way(own_world: World) -> None:
    """18: some calls of a batch find room and some do not."""
    with loading(own_world.kafka, own_world.client, own_world.product) as loader:
        lists = own_world.next_lists(USERS)
        run = own_world.announce(lists, first=True)
        wire = wire_of(run, lists)
        send(own_world.kafka, run.layout.topic, wire[: -USERS // 4])
        eventually(lambda: progress(own_world.client, run) > USERS // 20 and loader.metrics.is_healthy)
        own_world.client.config_set("maxmemory", 1)
        send(own_world.kafka, run.layout.topic, wire[-USERS // 4 :])  # for a loader that has loaded all else meanwhile
        eventually(lambda: not loader.metrics.is_healthy)
        own_world.client.config_set("maxmemory", "256mb")
        assert kept(own_world, run, lists) is RunEnding.SERVING


@pytest.mark.fault(20)
@pytest.mark.usefixtures("slow")
def test_a_loader_leaves_while_calls_are_under_way(world: World) -> None:
    """20: two share the partitions, one goes."""
    with loading(world.kafka, world.client, world.product):
        with loading(world.kafka, world.client, world.product):
            run, lists = world.push(world.next_lists(USERS), first=True)
            eventually(lambda: progress(world.client, run) > USERS // 10)
        assert kept(world, run, lists) is RunEnding.SERVING
