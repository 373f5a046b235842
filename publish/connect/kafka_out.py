"""Messages beside the lists, delivered for sure when the call returns, e.g. pointers, runs and erasures."""

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
    """Where to; −1: the key decides."""


class ConfirmedSender:
    """Sends to one broker, idempotently, and answers for each message; close it when done."""

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
        """Return when each message is acknowledged; gives back those too large for the topic; raises DeliveryError."""
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
        """Give up what is still on its way."""
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
    """Return when each message is acknowledged, topic by topic; raises DeliveryError: what to do `if_too_large`."""
    with closing(ConfirmedSender(kafka, client_id, timeout=timeout)) as sender:
        for topic, messages in batches.items():
            if oversize := sender.send(topic, messages):
                size = len(oversize[0].key or b"") + len(oversize[0].value or b"")
                raise DeliveryError(f"{topic}: a message has {size} bytes, more than the topic takes; {if_too_large}")


class KafkaPointerLog:
    """Every pointer, and its history, in topics of their own (publish.runs.pointer_log.PointerLog)."""

    def __init__(self, kafka: KafkaConnection) -> None:
        self._kafka = kafka

    def append(self, product: str, batches: Mapping[str, Sequence[Outgoing]]) -> None:
        """Return when the broker has all; raises DeliveryError; BrokerUnreachable, also where a topic is missing."""
        for topic in batches:  # a broker that makes topics by itself makes some that forget
            TopicInspector(self._kafka, topic).identify()
        send_confirmed(
            self._kafka,
            f"discovery-pointer-{product}",
            batches,
            if_too_large="if there is a hold, set it again with a shorter reason",
            timeout=10,
        )
