"""Faults 1 to 9 and 13: records lost, doubled, changed, misplaced, late; lists that no snapshot may hold."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from confluent_kafka import Consumer, TopicPartition

from conf.connections import KafkaConnection, RedisConnection
from publish.connect.redis_clients import redis_client
from publish.errors import DeliveryError, SnapshotRefused
from publish.lists_pb2 import List
from publish.operate.wait import RunEnding
from publish.send.producer import send_begin, send_partitions
from publish.send.sender import Sender
from publish.store.redis_store import RedisStore
from publish.wire.announcement import Announcement, Slice
from publish.wire.digest import Digest
from publish.wire.messages import ENVELOPE_BYTES, HEAD, MessageKind, pack
from tests.publish.support.damages import (
    FATAL,
    HARMLESS,
    Damage,
    begin_twice,
    end_twice,
    other_values_after_end,
    records_after_end,
)
from tests.publish.support.promise import World, kept, unchanged
from tests.publish.support.pushing import Wire, data_of, eventually, loading, messages_of, send, wire_of
from tests.publish.support.samples import Lists, batches_of

TIMID = {"stall_seconds": 3}
"""So that what can never be complete is noticed soon."""


@pytest.fixture(scope="module")
def lasting_world(kafka: KafkaConnection, redis_url: str) -> Iterator[World]:
    """A product with a loader at work and a run that serves; each test pushes the next one."""
    with redis_client(RedisConnection.of(redis_url)) as client:
        world = World.new(kafka, client)
        with loading(kafka, client, world.product):
            world.serve()
            yield world


@pytest.fixture
def world(lasting_world: World) -> Iterator[World]:
    """The same, tidied up after each test."""
    yield lasting_world
    lasting_world.tidy()


def cases(faults: list[tuple[int, Damage]]) -> list[object]:
    return [pytest.param(damage, marks=pytest.mark.fault(n), id=f"{n}-{damage.__name__}") for n, damage in faults]


@pytest.mark.parametrize("damage", cases(HARMLESS))
def test_a_push_that_holds_everything_serves(world: World, damage: Damage) -> None:
    assert kept(world, *world.push(damage=damage)) is RunEnding.SERVING


@pytest.mark.parametrize("damage", cases(FATAL))
def test_a_damaged_push_fails_and_changes_nothing(world: World, damage: Damage) -> None:
    assert kept(world, *world.push(damage=damage, **TIMID)) is RunEnding.FAILED


BAD = {
    "a score that is not a number": List(source_ids=[1, 2], scores=[float("nan"), 1.0]).SerializeToString(),
    "a source twice": List(source_ids=[5, 5]).SerializeToString(),
    "no list": b"\xff\xff",
}


@pytest.mark.fault(13)
@pytest.mark.parametrize("payload", BAD.values(), ids=BAD)
def test_a_list_that_no_snapshot_may_hold_fails_even_when_it_was_announced_so(world: World, payload: bytes) -> None:
    """13: the publisher itself is at fault, so that count and digest agree with what arrives."""
    lists = world.next_lists()
    right = world.announce(lists)
    data = data_of(right, lists)
    partition, key, value = data[100]
    assert key is not None
    assert value is not None
    data[100] = (partition, key, pack(MessageKind.DATA, right.epoch, HEAD.unpack_from(value)[3], key, payload))
    run = world.announce(lists, slices=slices_of_wire(data, right.partitions), **TIMID)
    begins, ends = wire_of(run, lists)[: run.partitions], wire_of(run, lists)[-run.partitions :]
    send(world.kafka, run.layout.topic, [*begins, *(_of_epoch(record, run.epoch) for record in data), *ends])
    assert kept(world, run, lists) is RunEnding.FAILED


def slices_of_wire(data: Wire, partitions: int) -> tuple[Slice, ...]:
    """What these records are, whatever they hold."""
    found = []
    for partition in range(partitions):
        records = [(key, value[ENVELOPE_BYTES:]) for place, key, value in data if place == partition and key and value]
        digest = Digest()
        digest.update([key for key, _ in records], [payload for _, payload in records])
        size = sum(len(key) + len(payload) for key, payload in records)
        found.append(Slice(partition=partition, count=len(records), digest=digest.hex, bytes=size))
    return tuple(found)


def _of_epoch(record: tuple[int, bytes | None, bytes | None], epoch: int) -> tuple[int, bytes | None, bytes | None]:
    partition, key, value = record
    assert key is not None
    assert value is not None
    _, _, _, seq = HEAD.unpack_from(value)
    return partition, key, pack(MessageKind.DATA, epoch, seq, key, value[ENVELOPE_BYTES:])


@pytest.mark.fault(13)
def test_an_oversize_list_is_refused_by_the_sender_and_the_run_fails(world: World) -> None:
    """13: a record that no broker takes; BEGIN is out, END never follows."""
    lists: Lists = world.next_lists()
    lists[0] = [2**62 + number for number in range(130_000)]
    run = world.announce(lists, **TIMID)
    home = run.layout.partition_of(0)
    batch = batches_of(lists, run.partitions, run.ids, run.buckets)[home]
    with Sender(run.layout.topic, world.kafka, delivery_timeout=120) as sender:
        send_begin(run, sender)
        with pytest.raises(DeliveryError, match="more than"):
            send_partitions([(home, [batch])], run, sender)
    assert kept(world, run, lists) is RunEnding.FAILED


@pytest.mark.fault(13)
@pytest.mark.parametrize(
    ("column", "values", "why"),
    [
        ("scores", [[np.nan, 1.0]], "finite|NaN|number"),
        ("source_ids", [[3, 3]], "twice|duplicate"),
        ("user_id", [None], "null"),
    ],
)
def test_the_sender_refuses_such_rows_and_the_run_fails(
    world: World, column: str, values: list[object], why: str
) -> None:
    """13: a snapshot that was damaged after it was announced."""
    lists = world.next_lists()
    run = world.announce(lists, **TIMID)
    batch = batches_of(lists, run.partitions, run.ids, run.buckets)[0]
    place = batch.schema.get_field_index(column)
    cells = pa.array([*values, *batch.column(column).to_pylist()[1:]], batch.schema.field(column).type)
    with Sender(run.layout.topic, world.kafka, delivery_timeout=120) as sender:
        send_begin(run, sender)
        with pytest.raises(SnapshotRefused, match=why):
            send_partitions([(0, [batch.set_column(place, batch.schema.field(column), cells)])], run, sender)
    assert kept(world, run, lists) is RunEnding.FAILED


@pytest.mark.fault(9)
@pytest.mark.parametrize("damage", [records_after_end, other_values_after_end, end_twice, begin_twice])
def test_records_that_come_after_a_run_serves_change_nothing(world: World, damage: Damage) -> None:
    """9: a zombie task goes on when its run serves; whatever it sends is read, and moves nothing but the position."""
    run, lists = world.push()
    assert kept(world, run, lists) is RunEnding.SERVING
    world.send(run, lists, damage)
    eventually(lambda: has_caught_up(world, run))
    unchanged(world)


def has_caught_up(world: World, run: Announcement) -> bool:
    """Whether loaders have dealt with all that is in the topic."""
    consumer = Consumer({"bootstrap.servers": world.kafka.servers, "group.id": "test"})
    try:
        for partition in range(run.partitions):
            _, end = consumer.get_watermark_offsets(TopicPartition(run.layout.topic, partition), timeout=180)
            position = RedisStore(world.client).position(run.layout, partition)
            if position is None or position.offset < end:
                return False
    finally:
        consumer.close()
    return True


@pytest.mark.fault(9)
def test_a_producer_that_nobody_announced_reaches_no_reader(world: World) -> None:
    """9: a zombie task, or a stranger, sends a whole run of its own; it ends in the dead letters, with the reason."""
    lists = world.next_lists(40)
    run = world.announce(lists, **TIMID)
    forged = Announcement.model_validate({**run.model_dump(), "epoch": 10**9 + 7, "run": "forged"})
    before = len(messages_of(world.kafka, run.layout.dead_letter_topic))
    send(world.kafka, run.layout.topic, wire_of(forged, lists))
    assert kept(world, *world.push()) is RunEnding.SERVING
    letters = messages_of(world.kafka, run.layout.dead_letter_topic)[before:]
    assert len(letters) == 40 + 2 * run.partitions
    headers = dict(letters[0].headers() or [])
    assert headers["reason"] == b"no announced run has epoch 1000000007"
    assert headers["topic"] == run.layout.topic.encode()
    assert kept(world, run, lists) is RunEnding.FAILED
