"""Creates the topics of a product, and checks that existing ones have the right properties."""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # re-exported without saying so
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from conf.connections import KafkaConnection
from conf.exposures import ExposureSettings
from conf.settings import PublishSettings
from publish.connect.clients import admin_client, broker_unreachable
from publish.errors import BrokerUnreachable, TopicMismatch
from publish.wire.keys import ProductKeys

_LOG = logging.getLogger(__name__)
_RETENTION = "retention.ms"
_HOUR = 3_600_000
_SEGMENTS = 7
"""Parts of the retention after which a segment of exposures ends: Kafka deletes whole segments only."""
_EXPOSURES = ExposureSettings()


class _Topic(NamedTuple):
    name: str
    partitions: int
    replication: int
    config: dict[str, str]
    checked: tuple[str, ...] = ("cleanup.policy",)
    """Settings that are checked when the topic exists already."""
    retention: str | None = None
    """The key of the settings that says how long it keeps messages; None: it is none of ours."""


def ensure_topics(
    kafka: KafkaConnection,
    keys: ProductKeys,
    settings: PublishSettings,
    exposures: ExposureSettings = _EXPOSURES,
    *,
    timeout: float = 30.0,
) -> None:
    """Creates missing topics, checks the others; raises TopicMismatch, BrokerUnreachable (after `timeout` s)."""
    with _listed(kafka, timeout) as (admin, deadline, there):
        for wanted in _topics(keys, settings, exposures):
            if wanted.name not in there:
                _create(admin, wanted, deadline)
                there[wanted.name] = _wait_until_ready(admin, wanted, deadline)
            _check(kafka, admin, wanted, there[wanted.name], deadline)


def check_topics(
    kafka: KafkaConnection,
    keys: ProductKeys,
    settings: PublishSettings,
    exposures: ExposureSettings = _EXPOSURES,
    *,
    timeout: float = 30.0,
) -> None:
    """Checks the topics that exist, as `ensure_topics` does, but creates none; run before hours of work."""
    with _listed(kafka, timeout) as (admin, deadline, there):
        for wanted in _topics(keys, settings, exposures):
            if wanted.name in there:
                _check(kafka, admin, wanted, there[wanted.name], deadline)


def check_partitions(
    kafka: KafkaConnection, keys: ProductKeys, settings: PublishSettings, *, timeout: float = 30.0
) -> None:
    """Checks only the number of partitions, for users who may not read the settings of topics."""
    with _listed(kafka, timeout) as (_, _, there):
        for wanted in _topics(keys, settings, _EXPOSURES):
            _check_partitions(wanted, there.get(wanted.name, wanted.partitions))


def warn_of_retention(
    kafka: KafkaConnection,
    keys: ProductKeys,
    settings: PublishSettings,
    exposures: ExposureSettings = _EXPOSURES,
    *,
    timeout: float = 10.0,
) -> None:
    """Warns of each topic that keeps messages longer or shorter than the settings say, if this user may read that."""
    with _listed(kafka, timeout) as (admin, deadline, there):
        for wanted in _topics(keys, settings, exposures):
            if wanted.name in there and wanted.retention is not None:
                try:
                    _warn_of_retention(kafka, wanted, _settings_of(admin, wanted, deadline))
                except KafkaException as error:
                    if error.args[0].code() != KafkaError.TOPIC_AUTHORIZATION_FAILED:
                        raise


@contextmanager
def _listed(kafka: KafkaConnection, timeout: float) -> Iterator[tuple[AdminClient, float, dict[str, int]]]:
    """Yields a client, its deadline, and the partitions of each topic; raises errors as BrokerUnreachable."""
    deadline, admin = time.monotonic() + timeout, admin_client(kafka)
    try:
        yield admin, deadline, _partitions_of_topics(admin, deadline)
    except KafkaException as error:
        raise broker_unreachable(kafka, error) from None
    except TimeoutError as error:
        raise BrokerUnreachable(
            f"Kafka at {kafka.address}: {error} within {timeout:g} s; look into the broker's log, then try again"
        ) from None


def _topics(keys: ProductKeys, settings: PublishSettings, exposures: ExposureSettings) -> tuple[_Topic, ...]:
    kept = {"cleanup.policy": "delete", _RETENTION: str(settings.retention_hours * _HOUR)}
    answered = {
        "cleanup.policy": "delete",
        _RETENTION: str(exposures.retention_hours * _HOUR),
        "segment.ms": str(max(_HOUR, exposures.retention_hours * _HOUR // _SEGMENTS)),
    }
    ours, theirs = "publish.retention_hours", "exposures.retention_hours"
    compacted = {"cleanup.policy": "compact"}
    forever = {"cleanup.policy": "delete", _RETENTION: "-1", "retention.bytes": "-1"}
    return (
        _Topic(keys.topic, settings.partitions, settings.replication, kept, retention=ours),
        _Topic(keys.dead_letter_topic, 1, settings.replication, kept, retention=ours),
        _Topic(keys.exposures_topic, settings.partitions, settings.replication, answered, retention=theirs),
        _Topic(keys.pointer_topic, 1, settings.replication, compacted),
        _Topic(keys.history_topic, 1, settings.replication, forever, checked=tuple(forever)),
        _Topic(keys.runs_topic, 1, settings.replication, compacted),
        _Topic(keys.erasures_topic, 1, settings.replication, compacted),
    )


def _check(kafka: KafkaConnection, admin: AdminClient, wanted: _Topic, partitions: int, deadline: float) -> None:
    _check_partitions(wanted, partitions)
    _check_settings(kafka, wanted, _settings_of(admin, wanted, deadline))


def _check_partitions(wanted: _Topic, found: int) -> None:
    if found != wanted.partitions:
        raise TopicMismatch(
            f"topic {wanted.name} has {found} partitions, the settings say {wanted.partitions}: users would go "
            f"elsewhere than before; if publish.partitions was changed, set it to {found}; if the topic was given "
            "other partitions, name the product anew"
        )


def _partitions_of_topics(admin: AdminClient, deadline: float) -> dict[str, int]:
    # All topics are listed, because asking for one by name may create it.
    topics = admin.list_topics(timeout=_left(deadline, "no list of topics")).topics
    return {name: len(topic.partitions) for name, topic in topics.items()}


def _create(admin: AdminClient, wanted: _Topic, deadline: float) -> None:
    left = _left(deadline, f"topic {wanted.name} was not created")
    new = NewTopic(wanted.name, wanted.partitions, wanted.replication, config=wanted.config)
    futures = admin.create_topics([new], operation_timeout=left, request_timeout=left)
    try:
        futures[wanted.name].result(timeout=left + 1)
    except KafkaException as error:
        code = error.args[0].code()
        if code == KafkaError.TOPIC_ALREADY_EXISTS:  # another publisher was faster; its topic is checked
            return
        if code == KafkaError.INVALID_REPLICATION_FACTOR:
            raise TopicMismatch(
                f"topic {wanted.name}: the cluster has fewer than {wanted.replication} brokers; "
                "lower publish.replication, or add brokers"
            ) from None
        raise


def _wait_until_ready(admin: AdminClient, wanted: _Topic, deadline: float) -> int:
    # Not every broker knows a new topic at once, and its partitions have no leader at first.
    while True:
        left = _left(deadline, f"topic {wanted.name} got no leaders")
        found = admin.list_topics(timeout=left).topics.get(wanted.name)
        if found is not None and found.partitions and all(p.leader >= 0 for p in found.partitions.values()):
            return len(found.partitions)
        time.sleep(0.1)


def _settings_of(admin: AdminClient, wanted: _Topic, deadline: float) -> dict[str, str]:
    left = _left(deadline, f"no settings of topic {wanted.name}")
    resource = ConfigResource(ResourceType.TOPIC, wanted.name)
    entries: Any = admin.describe_configs([resource], request_timeout=left)[resource].result(timeout=left + 1)
    return {name: entry.value for name, entry in entries.items()}


def _check_settings(kafka: KafkaConnection, wanted: _Topic, found: Mapping[str, str]) -> None:
    for name in wanted.checked:
        if found[name] != wanted.config[name]:
            raise TopicMismatch(
                f"topic {wanted.name} has {name}={found[name]}: records that are needed would vanish; "
                f"set it to {wanted.config[name]} with Kafka's own tools (kafka-configs.sh)"
            )
    if wanted.retention is not None:
        _warn_of_retention(kafka, wanted, found)


def _warn_of_retention(kafka: KafkaConnection, wanted: _Topic, found: Mapping[str, str]) -> None:
    if found[_RETENTION] != wanted.config[_RETENTION]:
        _LOG.warning(
            "warning   topic %s keeps messages %s, %s says %s; the setting acts only when the "
            "topic is created, so alter the topic: kafka-configs.sh --bootstrap-server %s --alter --entity-type topics "
            "--entity-name %s --add-config %s=%s",
            wanted.name,
            _duration(found[_RETENTION]),
            wanted.retention,
            _duration(wanted.config[_RETENTION]),
            kafka.address,
            wanted.name,
            _RETENTION,
            wanted.config[_RETENTION],
        )


def _duration(milliseconds: str) -> str:
    return "for ever" if milliseconds == "-1" else f"{int(milliseconds) / _HOUR:.7g} h"


def _left(deadline: float, what: str) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError(what)
    return left
