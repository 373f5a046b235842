"""A run keeps the number of buckets that it was announced with, whatever later runs have."""

from datetime import UTC, datetime, timedelta

import redis

from conf.connections import KafkaConnection
from conf.settings import PublishSettings
from publish.operate.control import Control
from publish.operate.forget import Forgetter
from publish.runs.erasures import ErasureLog
from publish.store.redis_store import RedisStore
from publish.wire.announcement import Announcement
from publish.wire.keys import bucket_count
from tests.publish.support.pushing import (
    PARTITIONS,
    announce,
    expected,
    lists_of,
    load_directly,
    loading,
    served,
    stored,
)
from tests.publish.support.rebuilding import pushed, rebuilt

USERS, ERASED = 1_200, 7
OLD, NEW = lists_of(USERS), lists_of(USERS, shift=1)
BEFORE, NOW = 100, PublishSettings().users_per_bucket
"""Users per bucket before the default was lowered, and today."""


def buckets(users_per_bucket: int) -> int:
    return bucket_count(USERS, PARTITIONS, users_per_bucket)


def fullest(client: redis.Redis, run: Announcement) -> int:
    return max(
        client.hlen(key) for partition in range(PARTITIONS) for key in run.layout.bucket_keys(run.run, partition)
    )


def test_a_run_of_another_number_is_read_verified_rolled_back_to_forgotten_in_and_rebuilt(
    kafka: KafkaConnection, clean_redis: redis.Redis, product: str, control: Control
) -> None:
    client = clean_redis
    with loading(kafka, client, product):
        old = pushed(kafka, client, product, OLD, first=True, buckets=buckets(BEFORE))
        assert served(client, product, list(OLD)) == expected(old, OLD)
        new = pushed(kafka, client, product, NEW, buckets=buckets(NOW))
        assert old.buckets < new.buckets
        assert fullest(client, new) < fullest(client, old)
        assert served(client, product, list(NEW)) == expected(new, NEW)
        assert not any(control.verify(run.run) for run in (old, new))
        client.flushall()
        assert rebuilt(kafka, control).pointer.treatment == new.run
        assert served(client, product, list(NEW)) == expected(new, NEW)
        assert not any(control.verify(run.run) for run in (old, new))
        log, store = ErasureLog(kafka, product, timeout=10), RedisStore(client)
        forgetter = Forgetter(log, control.registry, store, ids="int64", partitions=PARTITIONS)
        assert forgetter.forget(ERASED, "asked by letter").removed_from == (old.run, new.run)
        assert control.rollback(reason="to see that it can").treatment == old.run
        left = {user: sources for user, sources in OLD.items() if user != ERASED}
        assert served(client, product, list(left)) == expected(old, left)
        assert not any(control.verify(run.run) for run in (old, new))


def test_clearing_a_run_of_another_number_leaves_no_key(clean_redis: redis.Redis) -> None:
    later = Control.connect(clean_redis, "groups", clock=lambda: datetime.now(UTC) + timedelta(hours=2))
    control, runs = Control.connect(clean_redis, "groups"), []
    for users_per_bucket in (BEFORE, NOW, NOW):
        run = announce(clean_redis, "groups", OLD, first=True, buckets=buckets(users_per_bucket))
        load_directly(clean_redis, run, OLD)
        assert control.registry.ready(run.run)
        control.promote(run.run)
        runs.append(run)
    assert later.retire_unneeded() == (runs[0].run,)
    assert not clean_redis.keys(f"*:{runs[0].run}:*")
    assert [len(stored(clean_redis, run)) for run in runs] == [0, USERS, USERS]
