"""Faults 10 to 12: an announcement that is wrong or missing, runs that are too small, gates that did not pass."""

from collections.abc import Iterator

import pytest
import redis

from conf.connections import KafkaConnection
from publish.errors import RunRefused
from publish.operate.wait import RunEnding
from publish.runs.registry import RunRegistry
from publish.wire.announcement import Announcement
from tests.publish.support.promise import USERS, World, kept, unchanged
from tests.publish.support.pushing import data_of, eventually, loading, messages_of, send, wire_of
from tests.publish.support.samples import Lists


@pytest.fixture
def working(world: World) -> Iterator[World]:
    """The world with a loader at work."""
    with loading(world.kafka, world.client, world.product):
        yield world


@pytest.mark.fault(10)
@pytest.mark.parametrize("error", [-1, 1])
@pytest.mark.parametrize("partition", [0, 2])
def test_an_announced_count_that_is_off_by_one(working: World, error: int, partition: int) -> None:
    """10: what arrives is not what was announced, in whichever direction."""
    lists = working.next_lists()
    right = working.announce(lists)
    pieces = list(right.slices)
    pieces[partition] = pieces[partition].model_copy(update={"count": pieces[partition].count + error})
    run = working.announce(lists, slices=tuple(pieces))
    send(working.kafka, run.layout.topic, wire_of(run, lists))
    assert kept(working, run, lists) is RunEnding.FAILED
    send(working.kafka, right.layout.topic, wire_of(right, lists))
    assert kept(working, right, lists) is RunEnding.SERVING


@pytest.mark.fault(10)
def test_an_announced_digest_of_other_lists(working: World) -> None:
    """10: as many records as announced, and not those."""
    lists = working.next_lists()
    run = working.announce(working.next_lists() | {5: [77]})
    begins, ends = wire_of(run, lists)[: run.partitions], wire_of(run, lists)[-run.partitions :]
    send(working.kafka, run.layout.topic, [*begins, *data_of(run, lists), *ends])
    assert kept(working, run, lists) is RunEnding.FAILED


@pytest.mark.fault(10)
def test_a_forged_begin_of_an_announced_run(working: World) -> None:
    """10: a manifest with another hash than announced opens nothing; the genuine one does."""
    lists = working.next_lists()
    run = working.announce(lists)
    forged = Announcement.model_validate({**run.model_dump(), "config_hash": "forged"})
    send(working.kafka, run.layout.topic, wire_of(forged, lists)[: -run.partitions])
    send(working.kafka, run.layout.topic, wire_of(run, lists))
    assert kept(working, run, lists) is RunEnding.SERVING
    reasons = {dict(m.headers() or [])["reason"] for m in messages_of(working.kafka, run.layout.dead_letter_topic)}
    assert f"BEGIN of run {run.run} with another hash than announced".encode() in reasons


@pytest.mark.fault(10)
def test_an_announcement_that_vanished(working: World) -> None:
    """10: what nobody announced (any more) is dead-lettered, not served."""
    lists = working.next_lists()
    run = working.announce(lists)
    working.client.hdel(run.layout.runs, run.run, f"{run.run}:state")
    send(working.kafka, run.layout.topic, wire_of(run, lists))
    eventually(lambda: len(messages_of(working.kafka, run.layout.dead_letter_topic)) >= 2)
    assert kept(working, *working.push()) is RunEnding.SERVING


@pytest.mark.fault(10)
def test_an_announcement_is_never_changed(working: World) -> None:
    """10: the same run with another manifest is refused where it is announced."""
    lists = working.next_lists()
    run = working.announce(lists)
    other = Announcement.model_validate({**run.model_dump(), "config_hash": "other"})
    with pytest.raises(RunRefused, match="another content"):
        RunRegistry(working.client, working.product).announce(other)
    send(working.kafka, run.layout.topic, wire_of(run, lists))
    assert kept(working, run, lists) is RunEnding.SERVING


@pytest.mark.fault(11)
@pytest.mark.parametrize("users", [0, USERS // 2 - 20, 2 * USERS])
def test_a_run_of_too_few_or_too_many_users(working: World, users: int) -> None:
    """11: an empty run, half the users, twice as many: complete, and not served."""
    assert kept(working, *working.push(working.next_lists(users))) is RunEnding.FAILED


@pytest.mark.fault(11)
def test_an_empty_first_run(kafka: KafkaConnection, client: redis.Redis) -> None:
    """11: where nothing serves yet, readers are told so."""
    world = World.new(kafka, client)
    with loading(kafka, client, world.product):
        assert kept(world, *world.push({})) is RunEnding.FAILED


@pytest.mark.fault(11)
def test_one_list_for_everybody_is_the_second_gates_to_refuse(working: World) -> None:
    """11: all lists the same: the gate says so in the announcement, and the run stays complete and unserved."""
    lists: Lists = {user: [1, 2] for user in range(USERS)}
    assert kept(working, *working.push(lists, gates_passed=False)) is RunEnding.FAILED


@pytest.mark.fault(12)
def test_a_gate_that_did_not_pass(working: World) -> None:
    """12: a complete run stays unserved."""
    assert kept(working, *working.push(gates_passed=False)) is RunEnding.FAILED


@pytest.mark.fault(12)
def test_an_announcement_that_does_not_say_what_the_gates_said(working: World) -> None:
    """12: a gate result that is missing cannot be announced, and what cannot be read serves nothing."""
    lists = working.next_lists()
    run = working.announce(lists)
    said = run.model_dump()
    del said["gates_passed"]
    with pytest.raises(ValueError, match="gates_passed"):
        Announcement.model_validate(said)
    unchanged(working)
