"""The benchmark of bucket sizes reads the same users in every arm, and its arms are what their names say."""

import redis

from benchmarks.publish.arms import Arm, encoding_of
from benchmarks.publish.buckets import COLUMNS, as_text
from benchmarks.publish.reads import read_in_turns, users_of
from benchmarks.publish.world import TABLES, make_snapshot
from conf.settings import PublishSettings
from publish.operate.control import Control
from tests.publish.support.pushing import publish_directly


def test_every_size_reads_the_same_users() -> None:
    few, many = (
        make_snapshot(TABLES[0], 300, PublishSettings(partitions=3, users_per_bucket=size)) for size in (5, 100)
    )
    assert few.batches != many.batches  # in another order
    assert users_of(few) == users_of(many)


def test_an_arm_keeps_its_hashes_in_the_form_that_it_names_and_is_read_in_turns(clean_redis: redis.Redis) -> None:
    arms, name, runs = (Arm(20), Arm(20, compact_entries=1)), "hash-max-ziplist-entries", {}
    usual = clean_redis.config_get(name)[name]
    try:
        for arm in arms:
            clean_redis.config_set(name, arm.compact_entries)
            runs[arm.name] = publish_directly(clean_redis, arm.name, first=True, buckets=1)
            Control.connect(clean_redis, arm.name).promote(runs[arm.name].run)
            assert encoding_of(clean_redis, runs[arm.name]) in arm.forms
    finally:
        clean_redis.config_set(name, usual)
    found = read_in_turns(clean_redis, runs, [*range(60)] * 10)
    assert {name: len(turns) for name, turns in found.items()} == {"20": 9, "20 hashtable": 9}
    assert all(value > 0 for turns in found.values() for figures in turns for value in figures.values())


def test_the_table_has_a_line_per_arm() -> None:
    arms = {name: {key: 1.0 for key, _, _ in COLUMNS} for name in ("100", "32")}
    text = as_text({"table": "50 ids", "users": 9, "rounds": 1, "redis": "6.2.14 libc", "arms": arms})
    assert [line.split()[0] for line in text.splitlines()] == ["50", "users", "100", "32"]
