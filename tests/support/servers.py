"""A pytest plugin: one real Kafka broker and one real Redis for the test session, each started when first asked for."""

from collections.abc import Iterator

import pytest
import redis

from conf.connections import KafkaConnection
from deploy.servers.kafka_broker import KafkaBroker
from deploy.servers.redis_server import RedisServer


@pytest.fixture(scope="session")
def kafka_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """The session's broker; a test that stops or kills a broker starts its own."""
    with KafkaBroker(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """The session's Redis; a test that stops or kills a Redis starts its own."""
    nothing_kept = {"appendonly": "no"}  # a disk that is slow for seconds would hold up every write
    with RedisServer(tmp_path_factory.mktemp("redis"), settings=nothing_kept) as server:
        yield server


@pytest.fixture(scope="session")
def kafka(kafka_broker: KafkaBroker) -> KafkaConnection:
    """The way to the broker; topics stay for the session, so tests name their own."""
    return KafkaConnection(servers=kafka_broker.bootstrap)


@pytest.fixture(scope="session")
def redis_url(redis_server: RedisServer) -> str:
    """The address of the session's Redis, which other tests write to as well."""
    return redis_server.url


@pytest.fixture
def clean_redis(redis_url: str) -> Iterator[redis.Redis]:
    """A client of the session's Redis, emptied before the test."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
        yield client
