"""Clients of Kafka with timeouts, checked before first use; no secret in any text."""

import logging
import time
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # re-exported without saying so
    AdminClient,
    ConsumerGroupDescription,
    TopicDescription,
)
from pydantic import SecretStr

from conf.connections import KafkaConnection
from publish.errors import BrokerUnreachable

KafkaSettings = dict[str, Any]
"""Settings of librdkafka; made only in this module."""


def kafka_settings(kafka: KafkaConnection, client_id: str) -> KafkaSettings:
    """Returns the settings common to all our Kafka clients.

    librdkafka's own log goes to the logger `publish.kafka`.
    """
    configured = {
        "security.protocol": kafka.protocol,
        "sasl.mechanisms": kafka.mechanism,
        "sasl.username": kafka.username,
        "sasl.password": _plain(kafka.password),
        "ssl.ca.location": kafka.ca_file,
        "ssl.certificate.location": kafka.certificate_file,
        "ssl.key.location": kafka.key_file,
        "ssl.key.password": _plain(kafka.key_password),
    }
    return {
        "bootstrap.servers": kafka.servers,
        "client.id": client_id,
        "socket.connection.setup.timeout.ms": 5_000,
        "logger": logging.getLogger("publish.kafka"),
        **{name: value for name, value in configured.items() if value is not None},
    }


def admin_client(kafka: KafkaConnection) -> AdminClient:
    """Returns an administration client, which connects when first used."""
    return AdminClient(kafka_settings(kafka, "discovery-admin"))


def assigned_settings(kafka: KafkaConnection, client_id: str) -> KafkaSettings:
    """Returns the settings of a consumer with assigned partitions.

    It joins no group, commits nothing, and is notified at the end of each partition.
    """
    return {
        **kafka_settings(kafka, client_id),
        "group.id": client_id,  # required, but never joined
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "allow.auto.create.topics": False,
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",  # the start offset may be deleted before it is read
        "enable.partition.eof": True,
    }


def describe_topic(admin: AdminClient, topic: str, *, timeout: float = 10.0) -> TopicDescription | None:
    """Returns a topic's description, or None if there is no such topic; `timeout` in seconds.

    Raises KafkaException, TimeoutError. It asks by name, because a list leaves out topics that this user may not see.
    """
    described = admin.describe_topics(TopicCollection([topic]), request_timeout=timeout)[topic]
    try:
        found: TopicDescription = described.result(timeout + 1)
    except KafkaException as error:
        if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            return None
        raise
    return found


def check_broker(kafka: KafkaConnection, *, timeout: float = 10.0) -> None:
    """Waits for a reply of the broker, up to `timeout` seconds; raises BrokerUnreachable."""
    faults: list[KafkaError] = []
    try:
        admin = AdminClient(kafka_settings(kafka, "discovery-admin") | {"error_cb": faults.append})
    except KafkaException:  # librdkafka reads certificates here; its message would quote settings
        raise BrokerUnreachable(
            f"Kafka at {kafka.address}: librdkafka refuses the settings; check KAFKA_BOOTSTRAP_SERVERS, that the files "
            "of KAFKA_SSL_… are PEM and can be read, and KAFKA_SSL_KEY_PASSWORD"
        ) from None
    deadline = time.monotonic() + timeout
    while True:
        try:
            admin.list_topics(timeout=min(1.0, timeout))
        except KafkaException as error:
            admin.poll(0)  # only the callback learns why a connection fails; the call just times out
            if refusal := next((fault for fault in faults if fault.code() in _KAFKA_REFUSALS), None):
                raise broker_unreachable(kafka, KafkaException(refusal)) from None
            if time.monotonic() > deadline:
                raise broker_unreachable(kafka, error) from None
        else:
            return


_NO_GROUP_YET = {
    KafkaError.GROUP_ID_NOT_FOUND,
    # a broker on which nobody ever joined a group has no coordinator for them
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
}


def describe_group(
    kafka: KafkaConnection, admin: AdminClient, group: str, *, timeout: float = 10.0
) -> ConsumerGroupDescription | None:
    """Returns a consumer group's members and state, or None if there is no such group; raises BrokerUnreachable."""
    described = admin.describe_consumer_groups([group], request_timeout=timeout)[group]
    try:
        found: ConsumerGroupDescription = described.result(timeout=timeout + 1)
    except KafkaException as error:
        if error.args[0].code() in _NO_GROUP_YET:
            return None
        raise broker_unreachable(kafka, error) from None
    except TimeoutError:
        raise BrokerUnreachable(f"Kafka did not describe group {group} within {timeout:g} s; is it up?") from None
    return found


def group_size(kafka: KafkaConnection, group: str, *, timeout: float = 10.0) -> int:
    """Returns the current number of members of a consumer group; raises BrokerUnreachable."""
    found = describe_group(kafka, admin_client(kafka), group, timeout=timeout)
    return 0 if found is None else len(found.members)


def broker_unreachable(kafka: KafkaConnection, error: KafkaException) -> BrokerUnreachable:
    """Returns a BrokerUnreachable that explains the error and says what to check."""
    fault: KafkaError = error.args[0]
    if advice := _KAFKA_REFUSALS.get(fault.code()):
        return BrokerUnreachable(f"Kafka at {kafka.address} {advice} ({fault.name()})")
    return BrokerUnreachable(
        f"Kafka at {kafka.address} does not answer as expected ({fault.name()}); "
        "start it, or check KAFKA_BOOTSTRAP_SERVERS, and KAFKA_SECURITY_PROTOCOL against the listener of that port"
    )


_BAD_LOGIN = "refuses the user or password; check KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"
_NO_RIGHT = "does not allow this user {}; give it the rights of its role in docs/security.md"
_KAFKA_REFUSALS = {
    KafkaError._AUTHENTICATION: _BAD_LOGIN,
    KafkaError.SASL_AUTHENTICATION_FAILED: _BAD_LOGIN,
    KafkaError.UNSUPPORTED_SASL_MECHANISM: "does not offer this KAFKA_SASL_MECHANISM; check what its listener has",
    KafkaError._SSL: (
        "and this client found no way to speak TLS; check KAFKA_SECURITY_PROTOCOL, KAFKA_SSL_CA_LOCATION and that the "
        "broker's certificate is for this host"
    ),
    KafkaError.TOPIC_AUTHORIZATION_FAILED: _NO_RIGHT.format("a topic of the product"),
    KafkaError.GROUP_AUTHORIZATION_FAILED: _NO_RIGHT.format("the product's consumer group"),
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: _NO_RIGHT.format("to make topics or to send idempotently"),
}


def _plain(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
