"""Fault 20: loaders come and go in the middle of a load; one freezes and wakes up when others have taken over."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psutil
import pytest

from conf.connections import KafkaConnection
from publish.connect.clients import group_size
from publish.operate.wait import RunEnding
from publish.wire.keys import ProductKeys
from tests.publish.support.processes import dying_loaders
from tests.publish.support.promise import World, kept, unchanged
from tests.publish.support.pushing import Wire, eventually, loading, progress, send, wire_of


@contextmanager
def trickling(kafka: KafkaConnection, topic: str, wire: Wire) -> Iterator[threading.Thread]:
    """Send records a few at a time, for seconds, while the block runs; all are sent when it ends."""
    pause = threading.Event()

    def send_all() -> None:
        for start in range(0, len(wire), 40):
            send(kafka, topic, wire[start : start + 40])
            pause.wait(0.1)

    thread = threading.Thread(target=send_all)
    thread.start()
    try:
        yield thread
    finally:
        pause.set()
        thread.join(180)
        assert not thread.is_alive()


@pytest.mark.fault(20)
def test_two_loaders_then_three_then_one(world: World) -> None:
    """20: partitions change hands twice while records arrive."""
    lists = world.next_lists()
    run = world.announce(lists)
    group = ProductKeys(world.product).loader_group
    with loading(world.kafka, world.client, world.product), ExitStack() as others:
        others.enter_context(loading(world.kafka, world.client, world.product))
        eventually(lambda: group_size(world.kafka, group) == 2)
        with trickling(world.kafka, run.layout.topic, wire_of(run, lists)):
            eventually(lambda: progress(world.client, run) > 50)
            others.enter_context(loading(world.kafka, world.client, world.product))
            eventually(lambda: group_size(world.kafka, group) == 3)
            unchanged(world)
            others.close()
            eventually(lambda: group_size(world.kafka, group) == 1)
        assert kept(world, run, lists) is RunEnding.SERVING


@pytest.mark.fault(20)
def test_a_frozen_loader_wakes_up_when_another_has_taken_over(world: World, redis_url: str) -> None:
    """20: it goes on with the call before which it froze; the position has moved, so nothing of it is written."""
    lists = world.next_lists()
    run = world.announce(lists)
    begins, rest = wire_of(run, lists)[: run.partitions], wire_of(run, lists)[run.partitions :]
    point = {world.product: "before the first Lua"}
    with dying_loaders(world.kafka, redis_url, point, signal.SIGSTOP) as frozen:
        assert frozen.stdout is not None
        assert frozen.stdout.readline() == "loading\n"
        send(world.kafka, run.layout.topic, [*begins, *rest])
        (child,) = psutil.Process(frozen.pid).children()
        eventually(lambda: child.status() == psutil.STATUS_STOPPED)
        with loading(world.kafka, world.client, world.product):
            assert kept(world, run, lists) is RunEnding.SERVING
            child.send_signal(signal.SIGCONT)
            said = frozen.stdout.readline()
            assert "STALE" in said, said
            unchanged(world)
            assert kept(world, *world.push()) is RunEnding.SERVING


@pytest.mark.fault(20)
def test_a_loader_frozen_before_verified_wakes_up_late(world: World, redis_url: str) -> None:
    """20: what it read back is no longer its to judge."""
    run, lists = world.push()
    with dying_loaders(world.kafka, redis_url, {world.product: "before VERIFIED"}, signal.SIGSTOP) as frozen:
        assert frozen.stdout is not None
        assert frozen.stdout.readline() == "loading\n"
        (child,) = psutil.Process(frozen.pid).children()
        eventually(lambda: child.status() == psutil.STATUS_STOPPED)
        with loading(world.kafka, world.client, world.product):
            assert kept(world, run, lists) is RunEnding.SERVING
            os.kill(child.pid, signal.SIGCONT)
            said = frozen.stdout.readline()
            assert "STALE" in said, said
            unchanged(world)
