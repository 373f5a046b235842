"""Pushes through the real broker and the real Redis, whole and damaged: each one serves exactly, or changes nothing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import redis

from publish.announcement import Announcement
from publish.loader import Loader
from publish.messages import MARK_KEY, Kind, end_value, pack
from publish.wait import Outcome
from tests.publish.pushing import (
    Wire,
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

    bootstrap: str
    client: redis.Redis
    product: str
    loader: Loader
    serving: Announcement
    lists: Lists

    def push(self, damage: Callable[[Wire, Announcement], Wire], **changes: object) -> tuple[Announcement, Lists]:
        """Announce next week's run and send it, damaged."""
        lists = lists_of(USERS, shift=self.serving.epoch)
        run = announce(self.client, self.product, lists, **{"stall_seconds": 3, **changes})
        send(self.bootstrap, run.layout.topic, damage(wire_of(run, lists), run))
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
def world(kafka_bootstrap: str, redis_url: str) -> Iterator[World]:
    """The first run of a product, served by a running loader."""
    product, lists = new_product(kafka_bootstrap), lists_of(USERS)
    with redis.Redis.from_url(redis_url) as client, loading(kafka_bootstrap, client, product) as loader:
        run = announce(client, product, lists, first=True)
        send(kafka_bootstrap, run.layout.topic, wire_of(run, lists))
        assert outcome_of(client, run).outcome is Outcome.SERVING
        yield World(kafka_bootstrap, client, product, loader, run, lists)


def whole(wire: Wire, _: Announcement) -> Wire:
    return wire


def every_record_twice(wire: Wire, _: Announcement) -> Wire:
    return [record for record in wire for _ in range(2)]


def partition_replayed_before_end(wire: Wire, run: Announcement) -> Wire:
    replay = [record for record in wire[: -run.partitions] if record[0] == 1]
    return [*wire[: -run.partitions], *replay, *wire[-run.partitions :]]


def records_after_end(wire: Wire, run: Announcement) -> Wire:
    return [*wire, *wire[run.partitions : run.partitions + 50]]


def other_values_after_end(wire: Wire, run: Announcement) -> Wire:
    late = [(p, key, pack(Kind.DATA, run.epoch, 0, key or b"", b"\x0a\x01\x07")) for p, key, _ in wire[3:6]]
    return [*wire, *late]


def end_twice(wire: Wire, run: Announcement) -> Wire:
    return [*wire, *wire[-run.partitions :]]


def stray_end_first(wire: Wire, run: Announcement) -> Wire:
    return [(0, MARK_KEY, end_value(run, run.slices[0])), *wire]


def strangers_in_between(wire: Wire, run: Announcement) -> Wire:
    stranger = (1, b"5", pack(Kind.DATA, 10**12, 0, b"5", b""))
    return [*wire[:10], stranger, *wire[10:]]


def one_lost(wire: Wire, run: Announcement) -> Wire:
    return wire[:100] + wire[101:]


def one_lost_one_doubled(wire: Wire, run: Announcement) -> Wire:
    return wire[:100] + wire[101:102] + wire[101:]


def last_lost(wire: Wire, run: Announcement) -> Wire:
    return wire[: -run.partitions - 1] + wire[-run.partitions :]


def partition_empty(wire: Wire, run: Announcement) -> Wire:
    return [record for record in wire if record[0] != 1 or record[1] == MARK_KEY]


def same_seq_other_value(wire: Wire, run: Announcement) -> Wire:
    partition, key, _ = wire[200]
    seq = sum(record[0] == partition for record in wire[run.partitions : 200])
    return [*wire[:300], (partition, key, pack(Kind.DATA, run.epoch, seq, key or b"", b"\x0a\x01\x07")), *wire[300:]]


def user_twice(wire: Wire, run: Announcement) -> Wire:
    """The last record of a partition is of a user that the partition had before."""
    partition, key, _ = wire[-run.partitions - 2]
    seq = run.slices[partition].count - 1
    twice = (partition, key, pack(Kind.DATA, run.epoch, seq, key or b"", b""))
    return [*wire[: -run.partitions - 1], twice, *wire[-run.partitions :]]


def seq_beyond_count(wire: Wire, run: Announcement) -> Wire:
    return [
        *wire[:50],
        (wire[50][0], wire[50][1], pack(Kind.DATA, run.epoch, 2**31, wire[50][1] or b"", b"")),
        *wire[50:],
    ]


def value_flipped(wire: Wire, run: Announcement) -> Wire:
    partition, key, value = wire[100]
    assert value is not None
    return [*wire[:100], (partition, key, value[:-1] + bytes([value[-1] ^ 1])), *wire[101:]]


def key_flipped(wire: Wire, run: Announcement) -> Wire:
    partition, key, value = wire[100]
    assert key is not None
    return [*wire[:100], (partition, bytes([key[0] ^ 1]) + key[1:], value), *wire[101:]]


def wrong_partition(wire: Wire, run: Announcement) -> Wire:
    partition, key, value = wire[100]
    return [*wire[:100], ((partition + 1) % run.partitions, key, value), *wire[100:]]


def tombstone(wire: Wire, run: Announcement) -> Wire:
    return [*wire[:100], (wire[100][0], wire[100][1], None), *wire[100:]]


def null_key(wire: Wire, run: Announcement) -> Wire:
    return [*wire[:100], (wire[100][0], None, wire[100][2]), *wire[100:]]


def end_missing(wire: Wire, run: Announcement) -> Wire:
    return wire[:-1]


def end_before_data(wire: Wire, run: Announcement) -> Wire:
    return [*wire[: run.partitions], *wire[-run.partitions :], *wire[run.partitions : -run.partitions]]


def begin_missing(wire: Wire, run: Announcement) -> Wire:
    return wire[1:]


def end_of_another_count(wire: Wire, run: Announcement) -> Wire:
    short = run.slices[0].model_copy(update={"count": run.slices[0].count - 1})
    return [*wire[: -run.partitions], (0, MARK_KEY, end_value(run, short)), *wire[-run.partitions + 1 :]]


def nothing_sent(wire: Wire, run: Announcement) -> Wire:
    return []


HARMLESS = [
    whole,
    every_record_twice,
    partition_replayed_before_end,
    records_after_end,
    other_values_after_end,
    end_twice,
    strangers_in_between,
]
FATAL = [
    one_lost,
    one_lost_one_doubled,
    last_lost,
    partition_empty,
    same_seq_other_value,
    user_twice,
    seq_beyond_count,
    value_flipped,
    key_flipped,
    wrong_partition,
    tombstone,
    null_key,
    end_missing,
    end_before_data,
    begin_missing,
    end_of_another_count,
    nothing_sent,
]


@pytest.mark.parametrize("damage", [*HARMLESS, stray_end_first], ids=lambda damage: damage.__name__)
def test_a_push_that_holds_everything_serves(world: World, damage: Callable[[Wire, Announcement], Wire]) -> None:
    before = stored(world.client, world.serving)
    assert world.survived(*world.push(damage), before) is Outcome.SERVING


@pytest.mark.parametrize("damage", FATAL, ids=lambda damage: damage.__name__)
def test_a_damaged_push_fails_and_changes_nothing(world: World, damage: Callable[[Wire, Announcement], Wire]) -> None:
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
    send(world.bootstrap, run.layout.topic, wire_of(run, lists))
    assert world.survived(run, lists, before) is Outcome.FAILED


def test_a_gate_that_did_not_pass_keeps_a_complete_run_from_serving(world: World) -> None:
    before = stored(world.client, world.serving)
    run, lists = world.push(whole, gates_passed=False)
    assert world.survived(run, lists, before) is Outcome.FAILED


def test_half_the_users_are_refused(world: World) -> None:
    lists = lists_of(USERS // 3)
    run = announce(world.client, world.product, lists)
    before = stored(world.client, world.serving)
    send(world.bootstrap, run.layout.topic, wire_of(run, lists))
    assert world.survived(run, lists, before) is Outcome.FAILED


def test_a_run_that_nobody_announced_goes_to_the_dead_letters(world: World) -> None:
    lists = lists_of(40)
    run = announce(world.client, world.product, lists)
    forged = run.model_copy(update={"epoch": 10**9 + 7, "run": "forged"})
    dead_topic = run.layout.dead_letter_topic
    before = len(messages_of(world.bootstrap, dead_topic))
    send(world.bootstrap, run.layout.topic, wire_of(Announcement.model_validate(forged.model_dump()), lists))
    send(world.bootstrap, run.layout.topic, wire_of(run, lists))
    assert outcome_of(world.client, run).outcome is Outcome.FAILED  # 40 users instead of 1,200
    letters = messages_of(world.bootstrap, dead_topic)[before:]
    assert len(letters) == 40 + 2 * run.partitions
    headers = dict(letters[0].headers() or [])
    assert headers["reason"] == b"nobody announced a run of epoch 1000000007"
    assert headers["topic"].decode() == run.layout.topic


def test_an_announced_epoch_with_a_forged_begin_is_not_loaded(world: World) -> None:
    lists = lists_of(USERS, shift=7)
    run = announce(world.client, world.product, lists)
    forged = Announcement.model_validate({**run.model_dump(), "config_hash": "forged"})
    send(world.bootstrap, run.layout.topic, wire_of(forged, lists)[:-3])
    send(world.bootstrap, run.layout.topic, [*wire_of(run, lists)[:3], *data_of(run, lists), *wire_of(run, lists)[-3:]])
    # The forged BEGIN opened nothing, and the records behind it were buried; the genuine run starts afresh.
    assert world.survived(run, lists, stored(world.client, world.serving)) is Outcome.SERVING
    reasons = {dict(m.headers() or [])["reason"] for m in messages_of(world.bootstrap, run.layout.dead_letter_topic)}
    assert f"BEGIN of run {run.run} with another hash than announced".encode() in reasons


def test_every_pointer_is_also_kept_in_kafka(world: World) -> None:
    topic, key = world.serving.layout.pointer_topic, world.serving.layout.pointer
    # Whoever swapped it without a log, here `wait`, has it written down by the loader within seconds.
    eventually(lambda: messages_of(world.bootstrap, topic)[-1].value() == world.client.get(key))
    assert messages_of(world.bootstrap, topic)[-1].key() == world.product.encode()
