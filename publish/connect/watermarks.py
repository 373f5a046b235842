"""Reads the first and the next offset of a topic's partitions."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from confluent_kafka import TopicPartition
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]  # re-exported without saying so

from conf.connections import KafkaConnection
from publish.connect.clients import admin_client


class Watermarks(NamedTuple):
    """The first offset that is still kept, and the offset of the next record to come."""

    low: int
    high: int


def unread(bounds: Mapping[int, Watermarks], positions: Mapping[int, int]) -> int:
    """Returns how many records are still kept at or behind the positions; a partition without one is all unread."""
    return sum(max(0, high - max(low, positions.get(partition, 0))) for partition, (low, high) in bounds.items())


def watermarks(
    kafka: KafkaConnection, topic: str, partitions: Iterable[int], *, timeout: float = 10.0
) -> dict[int, Watermarks]:
    """Returns the watermarks of these partitions, `timeout` seconds per reply; raises KafkaException."""
    admin, places = admin_client(kafka), [TopicPartition(topic, partition) for partition in partitions]

    def offsets(spec: OffsetSpec) -> dict[int, int]:
        asked = admin.list_offsets(dict.fromkeys(places, spec), request_timeout=timeout)
        return {place.partition: int(future.result(timeout + 1).offset) for place, future in asked.items()}

    low = offsets(OffsetSpec.earliest())  # type: ignore[no-untyped-call]
    high = offsets(OffsetSpec.latest())  # type: ignore[no-untyped-call]
    return {partition: Watermarks(low[partition], high[partition]) for partition in low}
