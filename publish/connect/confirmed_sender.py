"""Sends messages other than lists (pointers, runs, erasures) and waits until each is acknowledged."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException, Producer

from conf.connections import KafkaConnection
from publish.connect.clients import kafka_settings
from publish.connect.topic_identity import TopicInspector
from publish.errors import DeliveryError

MAX_MESSAGE_BYTES = 8 * 2**20


class Outgoing(NamedTuple):
    """One message to send."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    partition: int = -1
    """Target partition; −1: Kafka chooses it by the key."""


class ConfirmedSender:
    """Sends messages to one broker idempotently and waits for each acknowledgement; close it when done."""

    def __init__(self, kafka: KafkaConnection, client_id: str, *, timeout: float = 30.0) -> None:
        self._timeout = timeout
        self._producer = Producer(
            {
                **kafka_settings(kafka, client_id),
                "acks": "all",
                "enable.idempotence": True,
                "message.max.bytes": MAX_MESSAGE_BYTES,
                "delivery.timeout.ms": int(timeout * 1000),
            }
        )

    def send(self, topic: str, messages: Iterable[Outgoing]) -> tuple[Outgoing, ...]:
        """Sends and waits until all are acknowledged; returns those too large for the topic; raises DeliveryError."""
        faults: list[KafkaError] = []
        oversize: list[Outgoing] = []
        for message in messages:
            self._produce(topic, message, faults, oversize)
        left = self._producer.flush(self._timeout + 5)
        if faults or left:
            why = faults[0].name() if faults else f"{left} unanswered"
            raise DeliveryError(f"{topic}: the broker did not acknowledge every message ({why}); is it up?")
        return tuple(oversize)

    def close(self) -> None:
        """Drops what has not been sent yet."""
        self._producer.purge()
        self._producer.flush(1)

    def _produce(self, topic: str, message: Outgoing, faults: list[KafkaError], oversize: list[Outgoing]) -> None:
        def answered(error: KafkaError | None) -> None:
            if error is not None and error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
                oversize.append(message)
            elif error is not None:
                faults.append(error)

        try:
            self._producer.produce(
                topic,
                key=message.key,
                value=message.value,
                headers=list(message.headers),
                partition=message.partition,
                on_delivery=lambda error, _: answered(error),
            )
        except KafkaException as error:
            answered(error.args[0])
        except BufferError:
            self._producer.flush(self._timeout)
            self._produce(topic, message, faults, oversize)


def send_confirmed(
    kafka: KafkaConnection,
    client_id: str,
    batches: Mapping[str, Iterable[Outgoing]],
    *,
    if_too_large: str,
    timeout: float = 30.0,
) -> None:
    """Sends and waits until all are acknowledged, topic by topic; raises DeliveryError.

    `if_too_large`: advice for the error about a message that the topic does not accept.
    """
    with closing(ConfirmedSender(kafka, client_id, timeout=timeout)) as sender:
        for topic, messages in batches.items():
            if oversize := sender.send(topic, messages):
                size = len(oversize[0].key or b"") + len(oversize[0].value or b"")
                raise DeliveryError(f"{topic}: a message has {size} bytes, more than the topic takes; {if_too_large}")


class KafkaPointerLog:
    """Keeps every pointer and its history in Kafka topics (publish.runs.pointer_log.PointerLog)."""

    def __init__(self, kafka: KafkaConnection) -> None:
        self._kafka = kafka

    def append(self, product: str, batches: Mapping[str, Sequence[Outgoing]]) -> None:
        """Sends all and waits; raises DeliveryError, and BrokerUnreachable also where a topic is missing."""
        for topic in batches:  # a topic that the broker creates by itself would not be compacted
            TopicInspector(self._kafka, topic).identify()
        send_confirmed(
            self._kafka,
            f"discovery-pointer-{product}",
            batches,
            if_too_large="if there is a hold, set it again with a shorter reason",
            timeout=10,
        )
