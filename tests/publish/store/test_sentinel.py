"""A push through a fail-over that Sentinel makes by itself, to a replica that lacks the last writes."""

from pathlib import Path

import pytest
import redis

from conf.connections import KafkaConnection, RedisConnection
from publish.connect.redis_clients import redis_client
from publish.operate.wait import RunEnding
from publish.store.durability import damaged_partitions
from publish.store.redis_store import RedisStore
from tests.publish.support.pace import Pace
from tests.publish.support.pushing import (
    agrees,
    announce,
    ending_of,
    expected,
    lists_of,
    loading,
    messages_of,
    new_product,
    progress,
    send,
    served,
    wire_of,
)
from tests.support.redis_sentinel import WatchedRedis

USERS = 1_200


def test_a_fail_over_in_the_middle_of_a_push(
    kafka: KafkaConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pace = Pace(monkeypatch)
    with WatchedRedis(tmp_path) as servers, redis_client(RedisConnection.of(servers.url)) as client:
        product, before_lists, lists = new_product(kafka), lists_of(USERS), lists_of(USERS, shift=9)
        before = announce(client, product, before_lists, first=True)
        send(kafka, before.layout.topic, wire_of(before, before_lists))
        with loading(kafka, client, product):
            assert ending_of(client, before).ending is RunEnding.SERVING
            run = announce(client, product, lists)
            pace.hold(1, after=20)
            send(kafka, run.layout.topic, wire_of(run, lists))
            pace.wait_until_held()
            with servers.cut_off(), redis.Redis.from_url(servers.replica.url) as replica:
                pace.hold(1, after=20)
                pace.wait_until_held()
                assert progress(replica, run) < progress(client, run)
                servers.kill_master()
                pace.release()
                servers.wait_until_promoted()
            assert ending_of(client, run).ending is RunEnding.SERVING
        assert served(client, product, range(USERS)) == expected(run, lists)
        assert not damaged_partitions(RedisStore(client), run)
        assert not messages_of(kafka, run.layout.dead_letter_topic)
        agrees(client, product)
