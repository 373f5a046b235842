"""The atomic calls of a partition, against the real Redis."""

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from publish.errors import StoreUnreachable
from publish.runs.run import RunState
from publish.store.redis_store import Position, RedisStore, Step
from publish.store.replies import Status
from publish.wire.announcement import Announcement
from tests.publish.support.pushing import announce, lists_of, records_of, stored
from tests.publish.support.records import Record, batch_of

LISTS = lists_of(60)
TOPIC = "topic-a"


@pytest.fixture
def run(clean_redis: redis.Redis) -> Announcement:
    return announce(clean_redis, "groups", LISTS)


@pytest.fixture
def store(clean_redis: redis.Redis) -> RedisStore:
    return RedisStore(clean_redis)


def step(believed: int | None, after: int, *, partition: int = 0) -> Step:
    return Step(partition, None if believed is None else Position(believed, TOPIC), Position(after, TOPIC))


def begun(store: RedisStore, run: Announcement) -> list[Record]:
    """The records of partition 0, which has begun and stands at offset 1."""
    assert store.begin(run, step(None, 1)).status is Status.BEGUN
    return records_of(run, LISTS, 0)


def test_records_bitmap_and_position_move_together(
    store: RedisStore, run: Announcement, clean_redis: redis.Redis
) -> None:
    records = begun(store, run)
    assert store.load_batch(run, step(1, 1 + len(records)), batch_of(records)).detail == str(len(records))
    assert store.position(run.layout, 0) == Position(1 + len(records), TOPIC)
    assert clean_redis.bitcount(run.layout.seen(run.run, 0)) == len(records)
    assert stored(clean_redis, run) == {record.user: record.payload for record in records}
    assert store.progress(run)[0].loaded == len(records)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(order=st.lists(st.integers(0, 18), min_size=1, max_size=60))
def test_any_order_and_any_repetition_gives_the_same_lists(
    store: RedisStore, run: Announcement, clean_redis: redis.Redis, order: list[int]
) -> None:
    clean_redis.delete(run.layout.position(0), run.layout.state(run.run, 0), run.layout.seen(run.run, 0))
    clean_redis.delete(*run.layout.bucket_keys(run.run, 0))
    records = begun(store, run)
    for offset, index in enumerate(order, start=1):
        record = records[index % len(records)]
        assert store.load_batch(run, step(offset, offset + 1), batch_of([record])).status is Status.LOADED
    wanted = {records[index % len(records)] for index in order}
    assert stored(clean_redis, run) == {record.user: record.payload for record in wanted}
    assert store.progress(run)[0].loaded == len(wanted)


def test_whoever_believes_in_another_position_writes_nothing(
    store: RedisStore, run: Announcement, clean_redis: redis.Redis
) -> None:
    records = begun(store, run)
    stale = [step(None, 9), step(0, 9), step(2, 9), Step(0, Position(1, "topic-b"), Position(9, TOPIC))]
    for wrong in stale:
        assert store.load_batch(run, wrong, batch_of(records)).status is Status.STALE
        assert store.skip(run.layout, wrong).status is Status.STALE
        assert store.mark_verified(run, wrong).status is Status.STALE
        assert store.begin(run, wrong).status is Status.STALE
    assert store.position(run.layout, 0) == Position(1, TOPIC)
    assert not stored(clean_redis, run)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"payload": b"other"}, "came twice with different content"),  # same seq, other value
        ({"seq": 1}, "came again as seq 1"),  # a user under two seqs
        ({"seq": 10**6}, "beyond the announced count"),
    ],
)
def test_a_contradiction_fails_the_partition(
    store: RedisStore, run: Announcement, changed: dict[str, object], why: str
) -> None:
    first, *_ = begun(store, run)
    store.load_batch(run, step(1, 2), batch_of([first]))
    reply = store.load_batch(run, step(2, 3), batch_of([first._replace(**changed)]))
    assert reply.status is Status.CONFLICT
    assert why in reply.detail
    assert store.progress(run)[0].state == RunState.FAILED
    assert store.position(run.layout, 0) == Position(3, TOPIC)
    assert store.load_batch(run, step(3, 4), batch_of([first])).status is Status.FENCED


def test_data_before_begin_moves_nothing(store: RedisStore, run: Announcement) -> None:
    assert store.load_batch(run, step(None, 1), batch_of(records_of(run, LISTS, 0))).status is Status.NO_BEGIN
    assert store.position(run.layout, 0) is None


def test_begin_again_is_harmless_and_a_verified_partition_stays_so(store: RedisStore, run: Announcement) -> None:
    records = begun(store, run)
    store.load_batch(run, step(1, 2), batch_of(records))
    assert store.begin(run, step(2, 3)).status is Status.LOADING
    assert store.progress(run)[0].loaded == len(records)
    assert store.mark_verified(run, step(3, 4)).status is Status.VERIFIED
    assert store.begin(run, step(4, 5)) == (Status.OVER, "VERIFIED")
    assert store.load_batch(run, step(5, 6), batch_of(records)) == (Status.FENCED, "VERIFIED")


def test_a_fence_stops_every_loader(store: RedisStore, run: Announcement, clean_redis: redis.Redis) -> None:
    records = begun(store, run)
    store.fence(run, RunState.FAILED, "for a test")
    assert store.load_batch(run, step(1, 2), batch_of(records)) == (Status.FENCED, "FAILED")
    assert store.mark_verified(run, step(2, 3)).status is Status.FENCED
    assert not stored(clean_redis, run)
    assert not clean_redis.exists(run.layout.state(run.run, 1))  # what never began needs no fence


def test_poison_counts_from_begin_on(store: RedisStore, run: Announcement) -> None:
    store.skip(run.layout, step(None, 1), poison=1, dead=1)
    store.begin(run, step(1, 2))
    assert store.poison(run, 0) == 0
    store.skip(run.layout, step(2, 4), poison=2, dead=2)
    assert store.poison(run, 0) == 2
    assert store.dead_letters(run.layout) == 3


def test_delete_leaves_only_the_positions(store: RedisStore, run: Announcement, clean_redis: redis.Redis) -> None:
    records = begun(store, run)
    store.load_batch(run, step(1, 2), batch_of(records))
    store.delete(run)
    store.delete(run)
    assert not clean_redis.keys(f"*:{run.run}:*")
    assert store.position(run.layout, 0) == Position(2, TOPIC)


def test_a_full_redis_changes_nothing_and_can_still_be_told_that_a_run_is_over(
    store: RedisStore, run: Announcement, clean_redis: redis.Redis
) -> None:
    records = begun(store, run)
    before = clean_redis.config_get("maxmemory")["maxmemory"]
    clean_redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(StoreUnreachable, match="maxmemory"):
            store.load_batch(run, step(1, 2), batch_of(records))
        store.fence(run, RunState.FAILED, "full")
    finally:
        clean_redis.config_set("maxmemory", before)
    assert store.position(run.layout, 0) == Position(1, TOPIC)
    assert not clean_redis.exists(run.layout.seen(run.run, 0))
    assert store.progress(run)[0].state == RunState.FAILED
