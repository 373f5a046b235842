"""Clients of Redis and Kafka: bounded waiting, a check before first use, and no secret in any text."""

import logging
from collections.abc import Mapping
from typing import Any

import redis
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from conf.connections import KafkaConnection, RedisConnection
from publish.errors import BrokerUnreachable, StoreUnreachable

KafkaSettings = dict[str, Any]
"""What librdkafka takes; made here and nowhere else."""


def redis_client(store: RedisConnection, *, timeout: float = 5.0) -> redis.Redis:
    """A checked client (bytes in and out) of the store, `timeout` seconds a reply; raises StoreUnreachable."""
    try:
        client = redis.Redis.from_url(
            store.url.get_secret_value(),
            decode_responses=False,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            health_check_interval=30,
        )
    except (ValueError, TypeError):  # their texts may quote the URL
        raise StoreUnreachable(
            f"REDIS_URL {store.address} is not an address of Redis; use redis://[user:password@]host:port/db"
        ) from None
    try:
        client.ping()
    except redis.RedisError as error:
        client.close()
        raise StoreUnreachable(f"Redis at {store.address}: {explain(error)}") from None
    return client


def explain(error: redis.RedisError) -> str:
    """What a fault of Redis means and what to do about it; holds no secret, as Redis' own texts may quote arguments."""
    for kind, text in _REDIS_FAULTS.items():
        if isinstance(error, kind):
            return text
    return f"replied with {type(error).__name__} ({str(error).split(' ', 1)[0]}); look into its log"


_REDIS_FAULTS: Mapping[type[redis.RedisError], str] = {
    redis.AuthenticationError: "refuses the user or password; check the credentials in REDIS_URL",
    redis.exceptions.NoPermissionError: "does not allow this user the command; check its ACL",
    redis.exceptions.BusyLoadingError: "is still loading its data from disk; try again when it has finished",
    redis.exceptions.ReadOnlyError: "is a read-only replica; give the address of the master",
    redis.exceptions.OutOfMemoryError: "has reached maxmemory; clear runs or give it more memory",
    redis.TimeoutError: "does not answer in time; check that the server and the way to it are up",
    redis.ConnectionError: "cannot be reached; start it, or check host, port and TLS in REDIS_URL",
}


def kafka_settings(kafka: KafkaConnection, client_id: str) -> KafkaSettings:
    """What every Kafka client of ours has in common; librdkafka's own log goes to the logger `publish.kafka`."""
    return {
        "bootstrap.servers": kafka.servers,
        "client.id": client_id,
        "socket.connection.setup.timeout.ms": 5_000,
        "logger": logging.getLogger("publish.kafka"),
    }


def admin_client(kafka: KafkaConnection) -> AdminClient:
    """An administration client; connects when first used."""
    return AdminClient(kafka_settings(kafka, "discovery-admin"))


def check_broker(kafka: KafkaConnection, *, timeout: float = 10.0) -> None:
    """Return when a broker answers within `timeout` seconds; raises BrokerUnreachable."""
    try:
        admin_client(kafka).list_topics(timeout=timeout)
    except KafkaException as error:
        raise broker_unreachable(kafka, error) from None


_NO_GROUP_YET = {
    KafkaError.GROUP_ID_NOT_FOUND,
    # a broker on which nobody ever joined a group has no coordinator for them
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
}


def group_size(kafka: KafkaConnection, group: str, *, timeout: float = 10.0) -> int:
    """Members of a consumer group now; raises BrokerUnreachable."""
    admin = admin_client(kafka)
    try:
        described = admin.describe_consumer_groups([group], request_timeout=timeout)[group].result(timeout=timeout + 1)
    except KafkaException as error:
        if error.args[0].code() in _NO_GROUP_YET:
            return 0
        raise broker_unreachable(kafka, error) from None
    return len(described.members)


def broker_unreachable(kafka: KafkaConnection, error: KafkaException) -> BrokerUnreachable:
    """The error for people of a fault while talking to the broker."""
    return BrokerUnreachable(
        f"Kafka at {kafka.address} does not answer as expected ({error.args[0].name()}); "
        "start it, or check KAFKA_BOOTSTRAP_SERVERS"
    )
