"""Pushes through the real broker and the real Redis, whole and damaged: each one serves exactly, or changes nothing."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import redis

from conf.connections import KafkaConnection
from publish.announcement import Announcement
from publish.loader import Loader
from publish.wait import Outcome
from tests.publish.damages import FATAL, HARMLESS, Damage, whole
from tests.publish.pushing import (
    agrees,
    announce,
    data_of,
    eventually,
    expected,
    lists_of,
    loading,
    messages_of,
    new_product,
    outcome_of,
    send,
    served,
    stored,
    wire_of,
)
from tests.publish.samples import Lists

USERS = 1_200


@dataclass
class World:
    """A product with a loader at work and a run that serves."""

    kafka: KafkaConnection
    client: redis.Redis
    product: str
    loader: Loader
    serving: Announcement
    lists: Lists

    def push(self, damage: Damage, **changes: object) -> tuple[Announcement, Lists]:
        """Announce next week's run and send it, damaged."""
        lists = lists_of(USERS, shift=self.serving.epoch)
        run = announce(self.client, self.product, lists, **{"stall_seconds": 3, **changes})
        send(self.kafka, run.layout.topic, damage(wire_of(run, lists), run))
        return run, lists

    def survived(self, run: Announcement, lists: Lists, before: dict[bytes, bytes]) -> Outcome:
        """How it ended, after checking that it serves exactly, or FAILED and changed nothing."""
        waited = outcome_of(self.client, run)
        answers = served(self.client, self.product, list(range(USERS)))
        if waited.outcome is Outcome.SERVING:
            assert answers == expected(run, lists)
            self.serving, self.lists = run, lists
        else:
            assert waited.reason
            assert answers == expected(self.serving, self.lists)
            assert stored(self.client, self.serving) == before
        agrees(self.client, self.product)
        return waited.outcome


@pytest.fixture(scope="module")
def world(kafka: KafkaConnection, redis_url: str) -> Iterator[World]:
    """The first run of a product, served by a running loader."""
    product, lists = new_product(kafka), lists_of(USERS)
    with redis.Redis.from_url(redis_url) as client, loading(kafka, client, product) as loader:
        run = announce(client, product, lists, first=True)
        send(kafka, run.layout.topic, wire_of(run, lists))
        assert outcome_of(client, run).outcome is Outcome.SERVING
        yield World(kafka, client, product, loader, run, lists)


@pytest.mark.parametrize("damage", HARMLESS, ids=lambda damage: damage.__name__)
def test_a_push_that_holds_everything_serves(world: World, damage: Damage) -> None:
    before = stored(world.client, world.serving)
    assert world.survived(*world.push(damage), before) is Outcome.SERVING


@pytest.mark.parametrize("damage", FATAL, ids=lambda damage: damage.__name__)
def test_a_damaged_push_fails_and_changes_nothing(world: World, damage: Damage) -> None:
    before = stored(world.client, world.serving)
    assert world.survived(*world.push(damage), before) is Outcome.FAILED


@pytest.mark.parametrize("error", [-1, 1])
def test_a_push_with_a_wrong_count_is_never_promoted(world: World, error: int) -> None:
    lists = lists_of(USERS, shift=50)
    right = announce(world.client, world.product, lists)
    first, *others = right.slices
    slices = (first.model_copy(update={"count": first.count + error}), *others)
    run = announce(world.client, world.product, lists, slices=slices)
    before = stored(world.client, world.serving)
    send(world.kafka, run.layout.topic, wire_of(run, lists))
    assert world.survived(run, lists, before) is Outcome.FAILED


def test_a_gate_that_did_not_pass_keeps_a_complete_run_from_serving(world: World) -> None:
    before = stored(world.client, world.serving)
    run, lists = world.push(whole, gates_passed=False)
    assert world.survived(run, lists, before) is Outcome.FAILED


def test_half_the_users_are_refused(world: World) -> None:
    lists = lists_of(USERS // 3)
    run = announce(world.client, world.product, lists)
    before = stored(world.client, world.serving)
    send(world.kafka, run.layout.topic, wire_of(run, lists))
    assert world.survived(run, lists, before) is Outcome.FAILED


def test_a_run_that_nobody_announced_goes_to_the_dead_letters(world: World) -> None:
    lists = lists_of(40)
    run = announce(world.client, world.product, lists)
    forged = run.model_copy(update={"epoch": 10**9 + 7, "run": "forged"})
    dead_topic = run.layout.dead_letter_topic
    before = len(messages_of(world.kafka, dead_topic))
    send(world.kafka, run.layout.topic, wire_of(Announcement.model_validate(forged.model_dump()), lists))
    send(world.kafka, run.layout.topic, wire_of(run, lists))
    assert outcome_of(world.client, run).outcome is Outcome.FAILED  # 40 users instead of 1,200
    letters = messages_of(world.kafka, dead_topic)[before:]
    assert len(letters) == 40 + 2 * run.partitions
    headers = dict(letters[0].headers() or [])
    assert headers["reason"] == b"nobody announced a run of epoch 1000000007"
    assert headers["topic"].decode() == run.layout.topic


def test_an_announced_epoch_with_a_forged_begin_is_not_loaded(world: World) -> None:
    lists = lists_of(USERS, shift=7)
    run = announce(world.client, world.product, lists)
    forged = Announcement.model_validate({**run.model_dump(), "config_hash": "forged"})
    send(world.kafka, run.layout.topic, wire_of(forged, lists)[:-3])
    send(world.kafka, run.layout.topic, [*wire_of(run, lists)[:3], *data_of(run, lists), *wire_of(run, lists)[-3:]])
    # The forged BEGIN opened nothing, and the records behind it were buried; the genuine run starts afresh.
    assert world.survived(run, lists, stored(world.client, world.serving)) is Outcome.SERVING
    reasons = {dict(m.headers() or [])["reason"] for m in messages_of(world.kafka, run.layout.dead_letter_topic)}
    assert f"BEGIN of run {run.run} with another hash than announced".encode() in reasons


def test_every_pointer_is_also_kept_in_kafka(world: World) -> None:
    topic, key = world.serving.layout.pointer_topic, world.serving.layout.pointer
    # Whoever swapped it without a log, here `wait`, has it written down by the loader within seconds.
    eventually(lambda: messages_of(world.kafka, topic)[-1].value() == world.client.get(key))
    assert messages_of(world.kafka, topic)[-1].key() == world.product.encode()
