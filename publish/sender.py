"""Records to one topic, each acknowledged by the broker or an error."""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self, TypedDict

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from conf.connections import KafkaConnection
from publish.clients import kafka_settings
from publish.errors import DeliveryError

MAX_RECORD_BYTES = 1_000_000
"""Key and value of a record, at most: a broker takes 1,048,588 bytes unless told otherwise, overhead included."""

_QUEUED_RECORDS = 50_000
_QUEUED_KIB = 65_536  # bounds a sender's memory
_POLL_SECONDS = 0.1


class Outgoing(TypedDict):
    """One record, as confluent-kafka takes it in a batch."""

    key: bytes
    value: bytes


class Sender:
    """An idempotent producer of one topic that counts acknowledgements and keeps the first failure.

    Use as a context manager, and call `finish` before leaving: only then is everything known to be in the topic.
    Leaving by an exception drops what was not sent yet.
    """

    def __init__(self, topic: str, kafka: KafkaConnection, *, delivery_timeout: float) -> None:
        self._topic, self._kafka, self._timeout = topic, kafka, delivery_timeout
        self._asked = self._acknowledged = 0
        self._failed: str | None = None
        self._broker_fault: str | None = None
        self._producer = Producer(
            kafka_settings(kafka, "discovery-publisher")
            | {
                "enable.idempotence": True,  # implies acks=all and order
                "acks": "all",
                "delivery.timeout.ms": max(1, round(delivery_timeout * 1_000)),
                "linger.ms": min(20, round(delivery_timeout * 500)),  # must stay below the delivery timeout
                "message.max.bytes": MAX_RECORD_BYTES + 10_000,
                "queue.buffering.max.messages": _QUEUED_RECORDS,
                "queue.buffering.max.kbytes": _QUEUED_KIB,
                "error_cb": self._on_error,
            }
        )

    @property
    def acknowledged(self) -> int:
        """Records that the broker has confirmed so far."""
        return self._acknowledged

    def send(self, records: Sequence[Outgoing], partition: int) -> None:
        """Queue records for a partition, waiting while the queue is full; raises DeliveryError if one so far failed."""
        self._check_sizes(records, partition)
        self._asked += len(records)
        waiting: list[dict[str, Any]] = [{**record} for record in records]
        while waiting:
            waiting = self._queue(waiting, partition)
            self._producer.poll(_POLL_SECONDS if waiting else 0)
            self._raise_if_failed()

    def finish(self) -> int:
        """Wait until every record is acknowledged and return their number; raises DeliveryError."""
        deadline = time.monotonic() + self._timeout + 5  # every record is acknowledged or failed by then
        while self._producer.flush(0.5) and time.monotonic() < deadline:
            self._raise_if_failed()
        self._raise_if_failed()
        if self._acknowledged != self._asked:
            raise self._error(f"{self._asked - self._acknowledged} are neither acknowledged nor failed")
        return self._acknowledged

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._producer.purge()  # a sender that failed must not go on sending while it is torn down

    def _queue(self, records: list[dict[str, Any]], partition: int) -> list[dict[str, Any]]:
        # The records that found no room; produce_batch does not raise for these, it marks them.
        try:
            queued = self._producer.produce_batch(
                self._topic, records, partition=partition, on_delivery=self._on_delivery
            )
        except BufferError:
            return records
        except KafkaException as fault:
            raise self._error(fault.args[0].name()) from None
        marked = [(record, record["_error"]) for record in records if "_error" in record]
        if queued + len(marked) != len(records):
            raise self._error(f"{queued} of {len(records)} were queued and {len(marked)} were not")
        if other := next((error for _, error in marked if error.code() != KafkaError._QUEUE_FULL), None):
            raise self._error(other.name())
        return [{"key": record["key"], "value": record["value"]} for record, _ in marked]

    def _check_sizes(self, records: Sequence[Outgoing], partition: int) -> None:
        for record in records:
            size = len(record["key"]) + len(record["value"])
            if size > MAX_RECORD_BYTES:
                raise DeliveryError(
                    f"{self._topic}, partition {partition}: the record of key {record['key'][:64]!r} has {size} bytes, "
                    f"more than {MAX_RECORD_BYTES}; make lists.n or lists.fallback_size smaller, or the ids shorter"
                )

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self._acknowledged += 1
        elif self._failed is None:
            self._failed = f"partition {message.partition()}: {error.name()}"

    def _on_error(self, error: KafkaError) -> None:
        self._broker_fault = error.name()

    def _raise_if_failed(self) -> None:
        if self._failed is not None:
            raise self._error(self._failed)

    def _error(self, reason: str) -> DeliveryError:
        fault = f"; the connection's last fault was {self._broker_fault}" if self._broker_fault else ""
        return DeliveryError(
            f"{self._topic} at {self._kafka.address}: {self._acknowledged} of {self._asked} records "
            f"acknowledged, then {reason}{fault}; nothing of the run serves; check the broker and start the stage again"
        )
