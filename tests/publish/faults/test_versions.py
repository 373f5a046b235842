"""Fault 28: an old loader meets what a newer publisher writes: it stops, and skips nothing."""

import zlib

import pytest

from publish.operate.wait import RunEnding
from publish.store.redis_store import RedisStore
from publish.wire.announcement import Announcement
from publish.wire.messages import HEAD, MessageKind
from tests.publish.support.damages import Damage
from tests.publish.support.promise import World, kept, unchanged
from tests.publish.support.pushing import Wire, eventually, loading, messages_of, send, wire_of


def packed(kind: int, codec: int, epoch: int, seq: int, key: bytes, payload: bytes) -> bytes:
    """An intact record of any kind and codec."""
    head = HEAD.pack(kind, codec, epoch, seq)
    return head + zlib.crc32(head + key + payload).to_bytes(4, "big") + payload


def of_kind(kind: int, codec: int) -> Damage:
    """One record of the run is of this kind and codec."""

    def damage(wire: Wire, run: Announcement) -> Wire:
        partition, key, _ = wire[200]
        assert key is not None
        return [*wire[:200], (partition, key, packed(kind, codec, run.epoch, 77, key, b"from the future")), *wire[200:]]

    return damage


@pytest.mark.fault(28)
@pytest.mark.parametrize(("kind", "codec"), [(4, 1), (MessageKind.DATA, 2), (9, 9)])
def test_an_old_loader_stops_at_a_record_that_it_does_not_know(world: World, kind: int, codec: int) -> None:
    """28: it buries nothing and stays before the record; the run fails, loudly; the next run is loaded."""
    lists = world.next_lists()
    run = world.announce(lists, stall_seconds=4)
    wire = of_kind(kind, codec)(wire_of(run, lists), run)
    partition = wire[200][0]
    with loading(world.kafka, world.client, world.product) as loader:
        eventually(lambda: loader.metrics.is_healthy)
        send(world.kafka, run.layout.topic, wire)
        eventually(lambda: not loader.metrics.is_healthy)
        eventually(lambda: RedisStore(world.client).progress(run)[partition].state == "LOADING")
        assert not messages_of(world.kafka, run.layout.dead_letter_topic)
        assert kept(world, run, lists) is RunEnding.FAILED
        assert kept(world, *world.push()) is RunEnding.SERVING  # now it may be dead-lettered: its run is over


@pytest.mark.fault(28)
def test_an_old_loader_stops_at_a_run_of_another_codec(world: World) -> None:
    """28: announced with a codec that it does not know."""
    lists = world.next_lists()
    run = world.announce(lists, codec=2, stall_seconds=4)
    with loading(world.kafka, world.client, world.product) as loader:
        eventually(lambda: loader.metrics.is_healthy)
        send(world.kafka, run.layout.topic, wire_of(run, lists))
        eventually(lambda: not loader.metrics.is_healthy)
        assert not world.client.keys(f"*:{run.run}:*")
        assert kept(world, run, lists) is RunEnding.FAILED
        assert kept(world, *world.push()) is RunEnding.SERVING


@pytest.mark.fault(28)
def test_a_stranger_of_another_version_stops_nobody(world: World) -> None:
    """28: what belongs to no announced run is dead-lettered, whatever version it is of."""
    key = b"5"
    home = zlib.crc32(key) % 3
    assert world.serving is not None
    with loading(world.kafka, world.client, world.product):
        send(world.kafka, world.serving.layout.topic, [(home, key, packed(7, 7, 10**12, 0, key, b"?"))])
        assert kept(world, *world.push()) is RunEnding.SERVING
    unchanged(world)
