"""Reads dead letters from their topic, which has one partition, so that a letter's offset is its id."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Consumer, KafkaError, KafkaException, Message, TopicPartition

from conf.connections import KafkaConnection
from publish.connect.clients import admin_client, assigned_settings, broker_unreachable, describe_topic
from publish.connect.watermarks import Watermarks, watermarks
from publish.errors import BrokerUnreachable, MalformedMessage, UnknownMessage
from publish.wire.messages import HEAD, Envelope, raw_bytes, unpack

_PARTITION = 0
_AT_ONCE = 1_000


@dataclass(frozen=True)
class Letter:
    """One record that was not loaded: unchanged, with time, reason and origin."""

    id: int
    at: datetime | None
    reason: str
    topic: str | None
    partition: int | None
    offset: int | None
    key: bytes | None
    value: bytes | None
    dropped_value_bytes: int | None
    """Size of a value that was too large to keep."""

    @property
    def size(self) -> int:
        """Bytes of the original key and value."""
        value = self.dropped_value_bytes if self.dropped_value_bytes is not None else len(self.value or b"")
        return len(self.key or b"") + value

    @property
    def envelope(self) -> Envelope:
        """The checked record; raises MalformedMessage, UnknownMessage."""
        return unpack(self.key, self.value)

    @property
    def epoch(self) -> int | None:
        """Epoch of its run, if it can be read."""
        try:
            return self.envelope.epoch
        except UnknownMessage:
            return None if self.value is None else int(HEAD.unpack_from(self.value)[2])
        except MalformedMessage:
            return None


class Letters:
    """The letters of one dead-letter topic; every method raises BrokerUnreachable."""

    def __init__(self, kafka: KafkaConnection, topic: str, *, timeout: float = 30.0) -> None:
        self.kafka, self.topic = kafka, topic
        self._timeout = timeout

    def bounds(self) -> Watermarks:
        """Returns the ids of the oldest and of the next letter; equal if there is none, also without the topic."""
        try:
            return watermarks(self.kafka, self.topic, [_PARTITION])[_PARTITION]
        except KafkaException as error:
            if self._is_missing():
                return Watermarks(0, 0)
            raise broker_unreachable(self.kafka, error) from None

    def find(self, letter: int) -> Letter | None:
        """Returns one letter; None if it was never written or is deleted."""
        low, high = self.bounds()
        return next((found for found in self.read(letter, letter + 1)), None) if low <= letter < high else None

    def read(self, start: int, end: int) -> Iterator[Letter]:
        """Yields the letters from id `start` up to, not including, `end`; all of them must have been written."""
        consumer = Consumer(assigned_settings(self.kafka, "discovery-dead-letters"))
        deadline = time.monotonic() + self._timeout
        try:
            consumer.assign([TopicPartition(self.topic, _PARTITION, start)])
            at = start
            while at < end:
                for message in consumer.consume(min(_AT_ONCE, end - at), timeout=0.5):
                    if (error := message.error()) is not None:
                        if error.code() == KafkaError._PARTITION_EOF:
                            return
                        raise KafkaException(error)
                    letter = _letter(message)
                    at, deadline = letter.id + 1, time.monotonic() + self._timeout
                    if letter.id < end:
                        yield letter
                if time.monotonic() > deadline:
                    raise BrokerUnreachable(
                        f"Kafka at {self.kafka.address} did not return the letters of {self.topic} within "
                        f"{self._timeout:g} s; look into the broker's log, then try again"
                    )
        except KafkaException as error:
            raise broker_unreachable(self.kafka, error) from None
        finally:
            consumer.close()

    def _is_missing(self) -> bool:
        # By name and only after an error: partitions without a leader do not mean that there is no topic.
        try:
            return describe_topic(admin_client(self.kafka), self.topic) is None
        except KafkaException:
            return False


def count_letters(kafka: KafkaConnection, topic: str) -> int:
    """Returns the number of letters in a dead-letter topic now; raises BrokerUnreachable."""
    low, high = Letters(kafka, topic).bounds()
    return high - low


def _letter(message: Message) -> Letter:
    headers = {name: value for name, value in dict(message.headers() or []).items() if isinstance(value, bytes)}
    stamp = message.timestamp()
    offset, topic = message.offset(), headers.get("topic")
    return Letter(
        id=-1 if offset is None else offset,
        at=None if stamp[0] == TIMESTAMP_NOT_AVAILABLE else datetime.fromtimestamp(stamp[1] / 1000, UTC),
        reason=headers.get("reason", b"it does not say why").decode(errors="replace"),
        topic=None if topic is None else topic.decode(errors="replace"),
        partition=_number(headers, "partition"),
        offset=_number(headers, "offset"),
        key=raw_bytes(message.key()),
        value=raw_bytes(message.value()),
        dropped_value_bytes=_number(headers, "dropped_value_bytes"),
    )


def _number(headers: Mapping[str, bytes], name: str) -> int | None:
    text = headers.get(name, b"")
    return int(text) if text.isdigit() else None
