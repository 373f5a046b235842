"""Reading back a partition that somebody tampered with."""

from collections.abc import Callable

import pytest
import redis

from publish.announcement import Announcement
from publish.lists_pb2 import List
from publish.verify import fault_of
from tests.publish.pushing import announce, lists_of, load_directly, records_of

LISTS = lists_of(90)


@pytest.fixture
def run(clean_redis: redis.Redis) -> Announcement:
    """A run whose partitions are loaded."""
    run = announce(clean_redis, "groups", LISTS)
    load_directly(clean_redis, run, LISTS)
    return run


def victim(run: Announcement) -> tuple[str, bytes]:
    """Bucket and user of one list in partition 0."""
    record = records_of(run, LISTS, 0)[3]
    return run.layout.bucket(run.run, 0, record.bucket), record.user


def test_what_was_loaded_whole_has_no_fault(run: Announcement, clean_redis: redis.Redis) -> None:
    pauses: list[None] = []
    for partition in range(run.partitions):
        assert fault_of(clean_redis, run, partition, pause=lambda: pauses.append(None)) is None
    assert pauses


def lose_a_user(client: redis.Redis, run: Announcement) -> None:
    client.hdel(*victim(run))


def change_a_value(client: redis.Redis, run: Announcement) -> None:
    client.hset(*victim(run), List(source_ids=[1]).SerializeToString())


def break_a_value(client: redis.Redis, run: Announcement) -> None:
    client.hset(*victim(run), b"\xff\xff")


def repeat_a_source(client: redis.Redis, run: Announcement) -> None:
    client.hset(*victim(run), List(source_ids=[1, 1]).SerializeToString())


def score_nothing(client: redis.Redis, run: Announcement) -> None:
    client.hset(*victim(run), List(source_ids=[1, 2], scores=[float("nan"), 1]).SerializeToString())


def add_a_user(client: redis.Redis, run: Announcement) -> None:
    stranger = next(user for user in range(1_000, 2_000) if run.layout.place_of(user)[0] == 0)
    client.hset(run.layout.bucket_of(run.run, stranger), str(stranger), b"")


def misplace_a_user(client: redis.Redis, run: Announcement) -> None:
    bucket, user = victim(run)
    other = next(key for key in run.layout.bucket_keys(run.run, 0) if key != bucket)
    client.hset(other, user, client.hget(bucket, user))
    client.hdel(bucket, user)


def lose_a_bucket(client: redis.Redis, run: Announcement) -> None:
    client.delete(victim(run)[0])


def lose_a_bit(client: redis.Redis, run: Announcement) -> None:
    client.setbit(run.layout.seen(run.run, 0), 2, 0)


def move_a_bit(client: redis.Redis, run: Announcement) -> None:
    lose_a_bit(client, run)
    client.setbit(run.layout.seen(run.run, 0), run.slices[0].count, 1)


def lose_the_bitmap(client: redis.Redis, run: Announcement) -> None:
    client.delete(run.layout.seen(run.run, 0))


DAMAGES = [
    (lose_a_user, "users can be read back"),
    (change_a_value, "digest"),
    (break_a_value, "not a protobuf List"),
    (repeat_a_source, "twice"),
    (score_nothing, "not a number"),
    (add_a_user, "users can be read back"),
    (misplace_a_user, "no reader looks"),
    (lose_a_bucket, "users can be read back"),
    (lose_a_bit, "records arrived"),
    (move_a_bit, "highest seq"),
    (lose_the_bitmap, "0 of"),
]


@pytest.mark.parametrize(("damage", "why"), DAMAGES, ids=lambda part: getattr(part, "__name__", ""))
def test_every_damage_is_found(
    run: Announcement, clean_redis: redis.Redis, damage: Callable[[redis.Redis, Announcement], None], why: str
) -> None:
    damage(clean_redis, run)
    fault = fault_of(clean_redis, run, 0)
    assert fault is not None
    assert why in fault
    assert fault_of(clean_redis, run, 1) is None
