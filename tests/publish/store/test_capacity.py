"""What fits into Redis, and which Redis is refused."""

from dataclasses import replace
from unittest.mock import create_autospec

import pytest
import redis

from publish.errors import StoreRefused
from publish.store.capacity import (
    SAFETY,
    DeclaredLimits,
    Master,
    StoreLimits,
    check_store,
    estimate_bytes,
    read_limits,
    shortage,
    warn_of_wide_values,
)
from publish.wire.announcement import Announcement
from publish.wire.keys import SLOTS
from tests.publish.support.pushing import announce, load_directly
from tests.publish.support.samples import Lists, announcement_of

LIMITS = StoreLimits(used=10**6, maxmemory=10**9, policy="noeviction", compact_value=64)


@pytest.mark.parametrize(
    ("setting", "value", "why"),
    [
        ("maxmemory", "0", "maxmemory 0"),
        ("maxmemory-policy", "allkeys-lru", "maxmemory-policy allkeys-lru"),
        ("maxmemory-policy", "volatile-ttl", "maxmemory-policy volatile-ttl"),
    ],
)
def test_a_redis_that_could_lose_lists_is_refused(clean_redis: redis.Redis, setting: str, value: str, why: str) -> None:
    check_store(clean_redis)
    before = clean_redis.config_get(setting)[setting]
    clean_redis.config_set(setting, value)
    try:
        with pytest.raises(StoreRefused, match=why):
            check_store(clean_redis)
    finally:
        clean_redis.config_set(setting, before)


def silent_redis() -> redis.Redis:
    """A managed Redis that forbids CONFIG and hides its limits."""
    client = create_autospec(redis.Redis, instance=True)
    client.info.return_value = {"used_memory": 5}
    client.config_get.side_effect = redis.ResponseError("unknown command 'CONFIG'")
    return client


def test_what_redis_does_not_tell_must_be_declared() -> None:
    with pytest.raises(StoreRefused, match="declare both"):
        read_limits(silent_redis())
    declared = DeclaredLimits(maxmemory=10**9, policy="noeviction")
    assert check_store(silent_redis(), declared) == StoreLimits(5, 10**9, "noeviction", None)
    with pytest.raises(StoreRefused, match="allkeys-lfu"):
        check_store(silent_redis(), replace(declared, policy="allkeys-lfu"))


def test_a_run_fits_up_to_four_fifths_of_maxmemory() -> None:
    run = announcement_of({user: [1, 2] for user in range(500)})
    needed = int(SAFETY * estimate_bytes(run))
    just = replace(LIMITS, maxmemory=int((LIMITS.used + needed) / 0.8) + 2)
    assert shortage(run, just) is None
    why = shortage(run, replace(just, maxmemory=just.maxmemory - 10))
    assert why is not None
    assert "500 users" in why


def test_the_fullest_master_of_a_cluster_decides() -> None:
    run = announcement_of({user: [1, 2] for user in range(500)}, partitions=8)
    needed = int(SAFETY * estimate_bytes(run))
    third = [frozenset(range(start, start + SLOTS // 3 + 1)) for start in range(0, SLOTS - 1, SLOTS // 3 + 1)]
    wide, tight = int(needed / 0.8), int(needed / 8 / 0.8)  # room for the run, and for less than its share
    masters = tuple(
        Master(f"m{number}:6379", 0, maxmemory, slots)
        for number, (maxmemory, slots) in enumerate(zip((wide, wide, tight), third, strict=True))
    )
    limits = StoreLimits(0, sum(master.maxmemory for master in masters), "noeviction", 64, masters)
    assert "the master m2:6379 of Redis" in str(shortage(run, limits))
    assert limits.room < needed < limits.maxmemory * 0.8
    enough = replace(limits, masters=tuple(replace(master, maxmemory=wide // 2) for master in masters))
    assert shortage(run, enough) is None
    assert sorted(place for master in masters for place in master.partitions_of(run.layout)) == list(range(8))


@pytest.mark.parametrize("length", [5, 50])
def test_the_estimate_is_close_to_what_redis_uses(clean_redis: redis.Redis, length: int) -> None:
    lists: Lists = {user: list(range(user, user + length)) for user in range(1_400)}
    before = clean_redis.info("memory")["used_memory"]
    run: Announcement = announce(clean_redis, "groups", lists)
    run_buckets = run.model_copy(update={"buckets": 5})
    load_directly(clean_redis, run_buckets, lists)
    used = clean_redis.info("memory")["used_memory"] - before
    assert used <= SAFETY * estimate_bytes(run_buckets)
    assert estimate_bytes(run_buckets) <= 1.5 * used


def test_wide_values_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    run = announcement_of({user: [1, 2] for user in range(500)})
    warn_of_wide_values(run, LIMITS)
    assert not caplog.text
    warn_of_wide_values(run, replace(LIMITS, compact_value=4))
    assert "hash-max-listpack-value 4" in caplog.text
