"""The benchmark of bucket sizes reads the same users in every arm, and its arms are what their names say."""

import pytest
import redis

from benchmarks.publish.buckets import COLUMNS, Arm, as_text, encoding_of, measure_reads, users_of
from benchmarks.publish.world import TABLES, make_snapshot
from conf.settings import PublishSettings
from tests.publish.support.pushing import announce, lists_of, load_directly

_LISTS = lists_of(60)


def test_every_size_reads_the_same_users() -> None:
    few, many = (
        make_snapshot(TABLES[0], 300, PublishSettings(partitions=3, users_per_bucket=size)) for size in (5, 100)
    )
    assert few.batches != many.batches  # in another order
    assert users_of(few) == users_of(many)


@pytest.mark.parametrize(("entries", "compact"), [(512, True), (1, False)])
def test_an_arm_keeps_its_hashes_in_the_form_that_it_names(
    clean_redis: redis.Redis, entries: int, compact: bool
) -> None:
    arm, name = Arm(20, entries), "hash-max-ziplist-entries"
    usual = clean_redis.config_get(name)[name]
    clean_redis.config_set(name, arm.compact_entries)
    try:
        run = announce(clean_redis, "groups", _LISTS, buckets=1)
        load_directly(clean_redis, run, _LISTS)
    finally:
        clean_redis.config_set(name, usual)
    assert (encoding_of(clean_redis, run) != "hashtable") is compact
    assert arm.name == ("20" if compact else "20 hashtable")
    figures = measure_reads(clean_redis, run, [*_LISTS] * 20)
    assert figures.keys() == {"hget_us", "cpu_us"}
    assert figures["hget_us"] > 0


def test_the_table_has_a_line_per_arm() -> None:
    arms = {name: {key: 1.0 for key, _, _ in COLUMNS} for name in ("100", "32")}
    text = as_text({"table": "50 ids", "users": 9, "rounds": 1, "redis": "6.2.14 libc", "arms": arms})
    assert [line.split()[0] for line in text.splitlines()] == ["50", "users", "100", "32"]
