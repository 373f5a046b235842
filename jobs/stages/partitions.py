"""Measures the snapshot by partition inside Spark before it is announced, then sends it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import DataFrame

from conf.connections import KafkaConnection
from conf.contract import IdKind
from jobs.run.context import Run
from publish.send.producer import send_partitions
from publish.send.sender import Sender
from publish.send.snapshot import by_partition, measure_partition
from publish.wire.announcement import Announcement, Slice
from publish.wire.keys import Layout

Batches = Iterator[pa.RecordBatch]
Partitions = Iterable[tuple[int, Batches]]


def measure_slices(run: Run, layout: Layout) -> list[Slice]:
    """Returns count, digest and bytes of every partition, empty ones included. Raises SnapshotRefused."""
    return _for_each_partition(run, _Measure(layout, run.ids))


def send_slices(run: Run, announcement: Announcement) -> list[Slice]:
    """Sends every partition from the task that reads it. Returns what was acknowledged. Raises DeliveryError."""
    seconds = run.settings.publish.delivery_timeout_seconds
    return _for_each_partition(run, _Send(announcement, run.servers.kafka, seconds))


@dataclass(frozen=True)
class _Measure:
    layout: Layout
    ids: IdKind

    def __call__(self, partitions: Partitions) -> list[Slice]:
        return [measure_partition(rows, partition, self.layout, self.ids) for partition, rows in partitions]


@dataclass(frozen=True)
class _Send:
    announcement: Announcement
    kafka: KafkaConnection
    seconds: int

    def __repr__(self) -> str:
        return f"_Send({self.announcement.run})"  # the address may hold a password

    def __call__(self, partitions: Partitions) -> list[Slice]:
        with Sender(self.announcement.layout.topic, self.kafka, delivery_timeout=self.seconds) as sender:
            return send_partitions(partitions, self.announcement, sender)


@dataclass(frozen=True)
class _Task:
    """One Spark task: processes its Kafka partitions one after the other."""

    work: Callable[[Partitions], list[Slice]]

    def __call__(self, batches: Batches) -> Batches:
        slices = [piece.model_dump_json() for piece in self.work(by_partition(batches))]
        yield pa.record_batch([pa.array(slices, pa.string())], names=["slice"])


def _for_each_partition(run: Run, work: Callable[[Partitions], list[Slice]]) -> list[Slice]:
    count = run.settings.publish.partitions
    rows = _by_kafka_partition(run, count).mapInArrow(_Task(work), "slice string").collect()
    done = {piece.partition: piece for piece in (Slice.model_validate_json(row["slice"]) for row in rows)}
    empty = work([(partition, iter(())) for partition in range(count) if partition not in done])
    return sorted([*done.values(), *empty], key=lambda piece: piece.partition)


def _by_kafka_partition(run: Run, count: int) -> DataFrame:
    """Returns the snapshot with every Kafka partition as a whole in one task, ordered by seq."""
    snapshot = run.tables.read("snapshot")
    return snapshot.repartition(count, "partition").sortWithinPartitions("partition", "seq")
