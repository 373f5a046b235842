"""What others write to the topic: it may make a run FAIL, and never reaches a reader."""

from collections.abc import Iterator
from typing import Any

import pytest

from conf.connections import KafkaConnection, RedisConnection
from publish.connect.redis_clients import redis_client
from publish.operate.wait import RunEnding
from publish.wire.announcement import Announcement
from tests.publish.support.promise import World, kept
from tests.publish.support.pushing import Wire, data_of, loading, messages_of, send, wire_of
from tests.publish.support.samples import Lists, slices_of


@pytest.fixture(scope="module")
def world(kafka: KafkaConnection, redis_url: str) -> Iterator[World]:
    """A product with a loader at work and a run that serves; each test pushes the next one."""
    with redis_client(RedisConnection.of(redis_url)) as client:
        world = World.new(kafka, client)
        with loading(kafka, client, world.product):
            world.serve()
            yield world


def parts_of(run: Announcement, lists: Lists) -> tuple[Wire, Wire, Wire]:
    """BEGINs, records and ENDs of a run."""
    wire = wire_of(run, lists)
    return wire[: run.partitions], wire[run.partitions : -run.partitions], wire[-run.partitions :]


def forged(genuine: Announcement, **changes: Any) -> Announcement:
    return Announcement.model_validate({**genuine.model_dump(), **changes})


@pytest.mark.parametrize("beside", [False, True], ids=["instead of the genuine record", "after the genuine record"])
def test_a_record_with_the_right_epoch_seq_user_and_checksum(world: World, beside: bool) -> None:
    lists = world.next_lists()
    run = world.announce(lists, stall_seconds=3)
    begins, data, ends = parts_of(run, lists)
    other = data_of(run, {user: [666] for user in lists})[0]
    assert other[:2] == data[0][:2]
    sent = [*data, other] if beside else [other, *data[1:]]
    send(world.kafka, run.layout.topic, [*begins, *sent, *ends])
    assert kept(world, run, lists) is RunEnding.FAILED


def test_a_run_that_nobody_announced(world: World) -> None:
    lists = world.next_lists()
    run = world.announce(lists)
    stranger = forged(run, epoch=10**9 + 7, run="forged")
    send(world.kafka, run.layout.topic, [*wire_of(stranger, {5: [666]}), *wire_of(run, lists)])
    assert kept(world, run, lists) is RunEnding.SERVING
    assert b"no announced run has epoch 1000000007" in reasons(world)


def test_a_begin_with_another_announcement(world: World) -> None:
    lists = world.next_lists()
    run = world.announce(lists)
    begins, data, ends = parts_of(run, lists)
    others, _, _ = parts_of(forged(run, config_hash="forged"), lists)
    # The forged BEGIN opens nothing, so what comes behind it is nobody's; the genuine run starts afresh.
    send(world.kafka, run.layout.topic, [*others, *data[::7], *begins, *data, *ends])
    assert kept(world, run, lists) is RunEnding.SERVING
    assert f"BEGIN of run {run.run} with another hash than announced".encode() in reasons(world)


def test_an_end_of_another_run(world: World) -> None:
    lists = world.next_lists()
    run = world.announce(lists)
    begins, data, ends = parts_of(run, lists)
    _, _, others = parts_of(forged(run, run="forged"), lists)
    send(world.kafka, run.layout.topic, [*begins, *others, *data, *ends])
    assert kept(world, run, lists) is RunEnding.SERVING


@pytest.mark.parametrize("step", [None, 2], ids=["before the first record", "half-way"])
def test_an_end_that_comes_too_early(world: World, step: int | None) -> None:
    lists = world.next_lists()
    run = world.announce(lists, stall_seconds=3)
    begins, data, ends = parts_of(run, lists)
    early = [] if step is None else data[::step]
    send(world.kafka, run.layout.topic, [*begins, *early, *ends, *data, *ends])
    assert kept(world, run, lists) is RunEnding.FAILED


def test_an_end_that_agrees_with_what_was_stored_but_not_with_what_was_announced(world: World) -> None:
    lists = world.next_lists()
    run = world.announce(lists, stall_seconds=3)
    begins, _, _ = parts_of(run, lists)
    half = {user: sources for user, sources in lists.items() if int(user) % 2}
    smaller = forged(run, slices=slices_of(half, run.partitions))
    send(world.kafka, run.layout.topic, [*begins, *data_of(run, half), *parts_of(smaller, half)[2]])
    assert kept(world, run, lists) is RunEnding.FAILED


def reasons(world: World) -> set[bytes]:
    """Why records are in the dead-letter topic."""
    assert world.serving is not None
    letters = messages_of(world.kafka, world.serving.layout.dead_letter_topic)
    return {dict(letter.headers() or [])["reason"] for letter in letters}
