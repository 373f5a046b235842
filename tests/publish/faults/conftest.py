"""Worlds for the faults: a product of its own on the session's broker and Redis, in which a run serves."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from conf.connections import KafkaConnection, RedisConnection
from deploy.servers.redis_server import RedisServer
from publish.connect.redis_clients import redis_client
from tests.publish.support.promise import World
from tests.publish.support.pushing import loading


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    """A client of the session's Redis, as the product makes them."""
    with redis_client(RedisConnection.of(redis_url)) as client:
        yield client


@pytest.fixture
def world(kafka: KafkaConnection, client: redis.Redis) -> World:
    """A product in which a run serves, and no loader is at work any more."""
    world = World.new(kafka, client)
    with loading(kafka, client, world.product):
        world.serve()
    return world


@pytest.fixture
def own_settings() -> dict[str, str]:
    """Settings of `own_redis`; a test that needs others parametrises itself with them."""
    return {}


@pytest.fixture
def own_redis(tmp_path: Path, own_settings: dict[str, str]) -> Iterator[RedisServer]:
    """A Redis that a test may harm; unless told otherwise its file is written every second."""
    with RedisServer(tmp_path / "redis", settings=own_settings) as server:
        yield server


@pytest.fixture
def own_client(own_redis: RedisServer) -> Iterator[redis.Redis]:
    """A client of that Redis, which answers or is away: nobody waits for it in vain."""
    with redis_client(RedisConnection.of(own_redis.url), timeout=60) as client:
        yield client


@pytest.fixture
def own_world(kafka: KafkaConnection, own_client: redis.Redis) -> World:
    """A product in that Redis, in which a run serves, and no loader is at work any more."""
    world = World.new(kafka, own_client)
    with loading(kafka, own_client, world.product):
        world.serve()
    return world
