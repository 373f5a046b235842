"""Fault 27: ten weekly runs: memory goes back to its plateau, and no key is left behind."""

from datetime import UTC, datetime, timedelta

import pytest
import redis

from conf.connections import KafkaConnection
from deploy.servers.redis_server import RedisServer
from publish.operate.control import Control
from publish.operate.wait import RunEnding
from tests.publish.support.damages import one_lost
from tests.publish.support.promise import World, agree, kept
from tests.publish.support.pushing import loading
from tests.publish.support.stored_keys import dump

WEEKS = 10


@pytest.mark.fault(27)
def test_ten_weekly_runs(kafka: KafkaConnection, own_client: redis.Redis, own_redis: RedisServer) -> None:
    """27: with a push that fails every third week; what nothing needs is cleared a week later."""
    world = World.new(kafka, own_client)
    used, keys = [], []
    with loading(kafka, own_client, world.product):
        for week in range(WEEKS):
            if week % 3 == 2:
                assert kept(world, *world.push(damage=one_lost)) is RunEnding.FAILED
            world.serve()
            now = datetime.now(UTC) + timedelta(days=7 * week + 1)
            Control.connect(own_client, world.product, clock=lambda now=now: now).retire_unneeded()
            agree(own_client, world.product)
            found = dump(own_client, world.product)
            lists = [key for key in found if b":b:" in key]
            keys.append(len(lists))
            used.append(sum(own_client.memory_usage(key, samples=0) for key in lists))
    assert len(set(keys[2:])) == 1, keys
    assert max(used[2:]) < 1.1 * used[2], used
    assert len(found) - len(lists) < 22  # states and bitmaps of two runs, and the product's own keys
