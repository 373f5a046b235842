"""Reads ranges of offsets of the topic of exposures, whatever a consumer group may have committed."""

import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import NamedTuple, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from conf.connections import KafkaConnection
from publish.connect.clients import admin_client, assigned_settings, broker_unreachable
from publish.connect.watermarks import Watermarks, watermarks
from publish.errors import BrokerUnreachable
from publish.wire.messages import raw_bytes

CLIENT = "discovery-lander"
"""Client, and group that is never joined."""
_AT_ONCE = 1_000
_POLL_SECONDS = 0.5
_WAITED_OUT = (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT)
"""Errors that librdkafka reports while it retries by itself."""


class RawRecord(NamedTuple):
    """One record as it is in the topic; `at`: its time by the broker, in milliseconds."""

    offset: int
    at: int
    key: bytes | None
    value: bytes | None


class ExposureTopic:
    """One topic, read by ranges; use it as a context manager. Every method raises BrokerUnreachable."""

    def __init__(self, kafka: KafkaConnection, topic: str, *, timeout: float = 30.0) -> None:
        """`timeout`: seconds without any record after which the broker counts as unreachable."""
        self._kafka, self._timeout = kafka, timeout
        self.name = topic

    def __enter__(self) -> Self:
        # each range is another assignment, which waits until the fetch before it has ended
        self._consumer = Consumer(assigned_settings(self._kafka, CLIENT) | {"fetch.wait.max.ms": 10})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def bounds(self, partitions: int) -> dict[int, Watermarks]:
        """Returns the first kept and the next offset of each partition."""
        try:
            return watermarks(self._kafka, self.name, range(partitions))
        except KafkaException as error:
            raise broker_unreachable(self._kafka, error) from None
        except TimeoutError:
            raise self._silent() from None

    def read(self, partition: int, start: int, end: int) -> Iterator[Sequence[RawRecord]]:
        """Yields the records that are still there of the offsets from `start` up to, not including, `end`."""
        deadline, at = time.monotonic() + self._timeout, start
        try:
            self._consumer.assign([TopicPartition(self.name, partition, start)])
            while at < end:
                chunk: list[RawRecord] = []
                for message in self._consumer.consume(min(_AT_ONCE, end - at), timeout=_POLL_SECONDS):
                    if (error := message.error()) is not None:
                        at = end if _is_end(error) else at
                        continue
                    record = _record(message)
                    at = max(at, record.offset + 1)
                    if record.offset < end:
                        chunk.append(record)
                if chunk:
                    deadline = time.monotonic() + self._timeout
                    yield chunk
                elif at < end and time.monotonic() > deadline:
                    raise self._silent()
        except KafkaException as error:
            raise broker_unreachable(self._kafka, error) from None

    def delete_before(self, positions: dict[int, int]) -> None:
        """Deletes the records before these offsets, by partition."""
        places = [TopicPartition(self.name, partition, offset) for partition, offset in positions.items() if offset]
        admin = admin_client(self._kafka)  # kept, or it would not answer
        try:
            for future in admin.delete_records(places).values() if places else ():
                future.result(self._timeout)
        except KafkaException as error:
            raise broker_unreachable(self._kafka, error) from None
        except TimeoutError:
            raise self._silent() from None

    def _silent(self) -> BrokerUnreachable:
        return BrokerUnreachable(
            f"Kafka at {self._kafka.address} did not answer about {self.name} within {self._timeout:g} s; look into "
            "the broker's log, then try again"
        )


def _is_end(error: KafkaError) -> bool:
    """Returns whether the partition ends here, or False for what librdkafka waits out; raises KafkaException."""
    if error.code() == KafkaError._PARTITION_EOF:
        return True
    if error.retriable() or error.code() in _WAITED_OUT:
        return False
    raise KafkaException(error)


def _record(message: Message) -> RawRecord:
    offset = message.offset()
    assert offset is not None
    return RawRecord(offset, message.timestamp()[1], raw_bytes(message.key()), raw_bytes(message.value()))
