"""Sends records to one topic; each one is acknowledged by the broker or causes an error."""

import operator
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from conf.connections import KafkaConnection
from publish.connect.clients import kafka_settings
from publish.errors import DeliveryError

MAX_RECORD_BYTES = 1_000_000
"""Largest key and value of a record together; brokers accept 1,048,588 bytes by default, overhead included."""

_QUEUED_RECORDS = 100_000
_QUEUED_KIB = 131_072  # bounds a sender's memory
_POLL_SECONDS = 0.1


class Sender:
    """An idempotent producer of one topic that counts acknowledgements and keeps the first failure.

    Use it as a context manager, and call `finish` before leaving: only then is everything known to be in the topic.
    Leaving by an exception drops what was not sent yet.
    """

    def __init__(self, topic: str, kafka: KafkaConnection, *, delivery_timeout: float) -> None:
        self._topic, self._kafka, self._timeout = topic, kafka, delivery_timeout
        self._asked = self._queued = self._failures = 0
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
                "delivery.report.only.error": True,  # a Python callback per success would halve the speed
                "queue.buffering.max.messages": _QUEUED_RECORDS,
                "queue.buffering.max.kbytes": _QUEUED_KIB,
                "error_cb": self._on_error,
            }
        )

    @property
    def acknowledged(self) -> int:
        """Records that the broker has confirmed so far; too few while the producer has faults to tell."""
        return max(0, self._queued - self._failures - len(self._producer))

    def send(self, partition: int, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        """Queues records for a partition, waiting while the queue is full; raises DeliveryError if one has failed."""
        self._check_sizes(partition, keys, values)
        self._asked += len(keys)
        waiting: list[dict[str, Any]] = [{"key": key, "value": value} for key, value in zip(keys, values, strict=True)]
        while waiting:
            waiting = self._queue(waiting, partition)
            self._serve(self._producer.poll, _POLL_SECONDS if waiting else 0)
            self._raise_if_failed()

    def finish(self) -> int:
        """Waits until every record is acknowledged and returns their number; raises DeliveryError."""
        deadline = time.monotonic() + self._timeout + 5  # every record is acknowledged or failed by then
        while self._serve(self._producer.flush, 0.5) and time.monotonic() < deadline:
            self._raise_if_failed()
        self._raise_if_failed()
        if self.acknowledged != self._asked:
            raise self._error(f"{self._asked - self.acknowledged} are neither acknowledged nor failed")
        return self._asked

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._producer.purge()  # after a failure, nothing more is sent while closing

    def _queue(self, records: list[dict[str, Any]], partition: int) -> list[dict[str, Any]]:
        # Returns the records that the queue had no room for; produce_batch marks them instead of raising.
        try:
            queued = self._producer.produce_batch(
                self._topic, records, partition=partition, on_delivery=self._on_delivery
            )
        except BufferError:
            return records
        except KafkaException as fault:
            raise self._error(fault.args[0].name()) from None
        self._queued += queued
        if queued == len(records):
            return []
        marked = [(record, record["_error"]) for record in records if "_error" in record]
        if queued + len(marked) != len(records):
            raise self._error(f"{queued} of {len(records)} were queued and {len(marked)} were not")
        if other := next((error for _, error in marked if error.code() != KafkaError._QUEUE_FULL), None):
            raise self._error(other.name())
        return [{"key": record["key"], "value": record["value"]} for record, _ in marked]

    def _check_sizes(self, partition: int, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        if max(map(len, keys), default=0) + max(map(len, values), default=0) <= MAX_RECORD_BYTES:
            return
        sizes = list(map(operator.add, map(len, keys), map(len, values)))
        if (largest := max(sizes)) > MAX_RECORD_BYTES:
            raise DeliveryError(
                f"{self._topic}, partition {partition}: the record of key {keys[sizes.index(largest)][:64]!r} has "
                f"{largest} bytes, more than {MAX_RECORD_BYTES}; make lists.n or lists.fallback_size smaller, or the "
                "ids shorter"
            )

    def _serve(self, call: Callable[[float], int], seconds: float) -> int:
        # A producer with a fatal error raises from within its callbacks.
        try:
            return call(seconds)
        except (KafkaException, SystemError) as fault:
            cause = fault if isinstance(fault, KafkaException) else fault.__cause__
            raise self._error(cause.args[0].name() if isinstance(cause, KafkaException) else str(fault)) from None

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        # Called for failures only.
        self._failures += 1
        if self._failed is None and error is not None:
            self._failed = f"partition {message.partition()}: {error.name()}"

    def _on_error(self, error: KafkaError) -> None:
        self._broker_fault = error.name()

    def _raise_if_failed(self) -> None:
        if self._failed is not None:
            raise self._error(self._failed)

    def _error(self, reason: str) -> DeliveryError:
        with suppress(KafkaException, SystemError):
            self._producer.poll(0)  # what it has to tell counts as not acknowledged
        fault = f"; the connection's last fault was {self._broker_fault}" if self._broker_fault else ""
        return DeliveryError(
            f"{self._topic} at {self._kafka.address}: {self.acknowledged} of {self._asked} records "
            f"acknowledged, then {reason}{fault}; nothing of the run serves; check the broker and start the stage again"
        )
