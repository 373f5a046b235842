"""Damages the records of a partition on their way to Kafka."""

from collections.abc import Sequence
from typing import NamedTuple

from confluent_kafka import KafkaError, Message, Producer

from benchmarks.crash.plan import Damage
from benchmarks.crash.truth import PARTITIONS
from conf.connections import KafkaConnection
from publish.connect.clients import kafka_settings
from publish.errors import DeliveryError
from publish.wire.messages import MessageKind, pack

_STRANGE_EPOCH = 10**12
_OTHER_LIST = b"\x0a\x01\x07"  # the list [7], which no user has


class Raw(NamedTuple):
    """A record as it is sent, correct or damaged."""

    partition: int
    key: bytes
    value: bytes


def send_raw(kafka: KafkaConnection, topic: str, records: Sequence[Raw], *, timeout: float) -> None:
    """Sends records as they are and waits until each is acknowledged. Raises DeliveryError."""
    faults: list[KafkaError] = []

    def answered(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            faults.append(error)

    settings = {"enable.idempotence": True, "delivery.timeout.ms": int(timeout * 1_000), "linger.ms": 5}
    producer = Producer(kafka_settings(kafka, "crash-publisher") | settings)
    for partition, key, value in records:
        producer.produce(topic, key=key, value=value, partition=partition, on_delivery=answered)
        producer.poll(0)
    left = producer.flush(timeout + 5)
    if left or faults:
        raise DeliveryError(f"{topic}: {left} records unanswered, {len(faults)} failed")


def damaged(damage: Damage, records: Sequence[Raw], draw: float, epoch: int) -> list[Raw]:
    """Returns the records that are sent for a partition, in order; `draw` in [0, 1) chooses the damaged record."""
    place = int(draw * len(records))
    before, (partition, key, value), after = list(records[:place]), records[place], list(records[place + 1 :])
    sent: dict[Damage, list[Raw]] = {
        "none": list(records),
        "strangers": _strangers(partition) + list(records),
        "no_end": list(records),
        "twice": [*records, *records],
        "lost": before + after,
        "lost_doubled": [*before, *after[:1], *after] if after else [*before, *before[-1:]],
        "other_value": [*records, Raw(partition, key, pack(MessageKind.DATA, epoch, place, key, _OTHER_LIST))],
        "flipped": [*before, Raw(partition, key, value[:-1] + bytes([value[-1] ^ 1])), *after],
        "moved": [*before, *after, Raw((partition + 1) % PARTITIONS, key, value)],
        "cut": [*before, Raw(partition, key, value[:-1]), *after],
        "emptied": [],
    }
    return sent[damage]


def _strangers(partition: int) -> list[Raw]:
    """Returns records of a run that was never announced; a reader must never see them."""
    key = str(partition).encode()
    return [Raw(partition, key, pack(MessageKind.DATA, _STRANGE_EPOCH, seq, key, _OTHER_LIST)) for seq in range(3)]
