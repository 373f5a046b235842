"""Reads a small topic from its beginning to its current end: runs, pointers and erasures, after a loss of Redis."""

import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import NamedTuple

from confluent_kafka import (
    OFFSET_BEGINNING,
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from conf.connections import KafkaConnection
from publish.connect.clients import admin_client, assigned_settings, broker_unreachable, describe_topic
from publish.errors import BrokerUnreachable

_AT_ONCE = 1_000
_POLL_SECONDS = 0.5


class TopicRecord(NamedTuple):
    """One record of a topic; `value` None is a tombstone."""

    partition: int
    offset: int
    at: datetime | None
    """The broker's or the producer's time, depending on the topic; None where it keeps none."""
    key: bytes | None
    value: bytes | None


def read_topic(kafka: KafkaConnection, topic: str, *, timeout: float = 30.0) -> tuple[TopicRecord, ...]:
    """Returns the topic's current records ordered by partition and offset; empty if there is no such topic.

    Raises BrokerUnreachable when the broker refuses, or has not returned all of them within `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    try:
        found = describe_topic(admin_client(kafka), topic, timeout=timeout)
        with closing(Consumer(assigned_settings(kafka, "discovery-topic-reader"))) as consumer:
            ends = {
                partition: end
                for partition in range(0 if found is None else len(found.partitions))
                for begin, end in [consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=timeout)]
                if end > begin
            }
            records = _read(consumer, topic, ends, deadline)
    except KafkaException as error:
        raise broker_unreachable(kafka, error) from None
    except TimeoutError:
        raise BrokerUnreachable(
            f"Kafka at {kafka.address} did not return all of topic {topic} within {timeout:g} s; "
            "look into the broker's log, then try again"
        ) from None
    return tuple(sorted(records, key=lambda record: (record.partition, record.offset)))


def latest(records: Iterable[TopicRecord]) -> dict[bytes, TopicRecord]:
    """Returns the last record of each key, as a compacted topic means it; keys with a tombstone are left out."""
    found = {record.key: record for record in records}
    return {key: record for key, record in found.items() if key is not None and record.value is not None}


def _read(consumer: Consumer, topic: str, ends: dict[int, int], deadline: float) -> list[TopicRecord]:
    records: list[TopicRecord] = []
    left = dict(ends)
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in ends])
    while left:
        if time.monotonic() > deadline:
            raise TimeoutError
        for message in consumer.consume(_AT_ONCE, timeout=_POLL_SECONDS):
            _take(message, left, records)
    return records


def _take(message: Message, left: dict[int, int], records: list[TopicRecord]) -> None:
    partition, offset = message.partition(), message.offset()
    if (error := message.error()) is not None:
        # Waiting for the last offset is not enough: compaction and aborted transactions may leave no record there.
        if error.code() == KafkaError._PARTITION_EOF and partition is not None:
            left.pop(partition, None)
        elif not (error.retriable() or error.code() in _WAITED_OUT):
            raise KafkaException(error)
        return
    if partition is None or offset is None or partition not in left:
        return  # written after the read began
    records.append(TopicRecord(partition, offset, _time(message.timestamp()), message.key(), message.value()))
    if offset + 1 >= left[partition]:
        del left[partition]


_WAITED_OUT = (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT)
"""Errors that librdkafka reports while it retries by itself."""


def _time(stamp: Sequence[int]) -> datetime | None:
    kind, milliseconds = stamp
    return None if kind == TIMESTAMP_NOT_AVAILABLE else datetime.fromtimestamp(milliseconds / 1000, UTC)
