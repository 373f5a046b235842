"""A service on the examples of docs/reader_vectors.json, for the tests of this folder that change nothing of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from deploy.servers.redis_server import RedisServer
from tests.publish.read.test_reader_vectors import stored
from tests.publish.support.serving import RunningService, serving


def fill(client: redis.Redis) -> None:
    """What the examples say that Redis holds."""
    for (key, field), value in stored().items():
        client.hset(key, field, value) if field else client.set(key, value)


@pytest.fixture(scope="session")
def filled_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis of its own, since others empty the session's."""
    with RedisServer(tmp_path_factory.mktemp("redis-served")) as server:
        with redis.Redis.from_url(server.url) as client:
            fill(client)
        yield server


@pytest.fixture(scope="session")
def service(filled_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """One process that answers."""
    with serving(tmp_path_factory.mktemp("served"), filled_redis.url) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a service of the test keeps its files."""
    return tmp_path / "served"
