"""Reading back a partition that somebody tampered with."""

from collections.abc import Callable
from typing import Any

import pytest
import redis

from publish.lists_pb2 import List
from publish.store import verify
from publish.store.redis_store import RedisStore
from publish.store.verify import fault_of
from publish.wire.announcement import Announcement
from tests.publish.support.pushing import announce, lists_of, load_directly, records_of
from tests.publish.support.samples import announcement_of

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
    client.hset(run.layout.bucket(run.run, *run.layout.place_of(stranger)), str(stranger), b"")


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


def erase(client: redis.Redis, run: Announcement) -> bytes:
    """Forget a user of partition 0, as it should be done."""
    _, user = victim(run)
    store = RedisStore(client)
    store.mark_erased(run.layout, [user])
    assert store.erase(run, 0, user)
    return user


def erase_without_a_trace(client: redis.Redis, run: Announcement) -> None:
    client.hdel(run.layout.erased_in(run.run, 0), erase(client, run))


def erase_another_list(client: redis.Redis, run: Announcement) -> None:
    client.hset(run.layout.erased_in(run.run, 0), erase(client, run), "0123456789abcdef")


def break_a_hash(client: redis.Redis, run: Announcement) -> None:
    client.hset(run.layout.erased_in(run.run, 0), erase(client, run), "no hash")


def bring_an_erased_user_back(client: redis.Redis, run: Announcement) -> None:
    bucket, user = victim(run)
    payload = client.hget(bucket, user)
    erase(client, run)
    client.hset(bucket, user, payload)


def erase_somebody_elsewhere(client: redis.Redis, run: Announcement) -> None:
    client.hset(run.layout.erased_in(run.run, 0), records_of(run, LISTS, 1)[0].user, "0123456789abcdef")


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
    (erase_without_a_trace, "users can be read back"),
    (erase_another_list, "digest"),
    (break_a_hash, "is not a hash"),
    (bring_an_erased_user_back, "and 1 are erased"),
    (erase_somebody_elsewhere, "of an erased user of partition 1"),
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


def test_erased_users_are_no_fault_not_even_while_their_lists_are_read(
    run: Announcement, clean_redis: redis.Redis
) -> None:
    store, users = RedisStore(clean_redis), iter([record.user for record in records_of(run, LISTS, 0)])

    def forget_one() -> None:
        if (user := next(users, None)) is not None:
            store.mark_erased(run.layout, [user])
            assert store.erase(run, 0, user)

    assert fault_of(clean_redis, run, 0, pause=forget_one) is None
    assert clean_redis.hlen(run.layout.erased_in(run.run, 0)) == run.slices[0].count


def test_a_user_erased_behind_the_back_of_a_reading_has_it_repeated(
    run: Announcement, clean_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, times = verify._read, iter(range(100))

    def erasing(*args: Any) -> Any:
        lists = read(*args)
        if next(times) == 0:  # what was read still has the list, what is read next has its hash as well
            erase(clean_redis, run)
        return lists

    monkeypatch.setattr(verify, "_read", erasing)
    assert fault_of(clean_redis, run, 0) is None
    assert next(times) > 1


@pytest.mark.parametrize(
    ("count", "buckets", "most"), [(0, 1, 1), (0, 2**20, 1_600), (10_000, 100, 16), (10_000, 313, 50)]
)
def test_buckets_are_read_in_pieces_of_as_many_lists_whatever_their_size(count: int, buckets: int, most: int) -> None:
    run = announcement_of(LISTS)
    piece = run.slices[0].model_copy(update={"count": count})
    pieces = verify._pieces(run.model_copy(update={"buckets": buckets, "slices": (piece, *run.slices[1:])}), 0)
    assert [bucket for piece in pieces for bucket in piece] == [*range(buckets)]
    assert max(map(len, pieces)) == most


def test_lists_of_many_pieces_are_all_read(
    run: Announcement, clean_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "_LISTS_AT_ONCE", 4)
    pauses: list[None] = []
    assert fault_of(clean_redis, run, 0, pause=lambda: pauses.append(None)) is None
    assert len(pauses) > 5
