"""The snapshot, partition by partition, inside Spark: measured before it is announced, then sent."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import DataFrame

from conf.connections import KafkaConnection
from conf.contract import IdKind
from jobs.run import Run
from publish.send.producer import send_partition
from publish.send.snapshot import by_partition, measure_partition
from publish.wire.announcement import Announcement, Slice
from publish.wire.keys import Layout

Batches = Iterator[pa.RecordBatch]


def measure_slices(run: Run, layout: Layout) -> list[Slice]:
    """Count, digest and bytes of every partition, empty ones included; raises SnapshotRefused."""
    return _for_each_partition(run, _Measure(layout, run.ids))


def send_slices(run: Run, announcement: Announcement) -> list[Slice]:
    """Sends every partition from the task that reads it; gives what was acknowledged; raises DeliveryError."""
    seconds = run.settings.publish.delivery_timeout_seconds
    return _for_each_partition(run, _Send(announcement, run.edges.kafka, seconds))


@dataclass(frozen=True)
class _Measure:
    layout: Layout
    ids: IdKind

    def __call__(self, partition: int, batches: Batches) -> Slice:
        return measure_partition(batches, partition, self.layout, self.ids)


@dataclass(frozen=True)
class _Send:
    announcement: Announcement
    kafka: KafkaConnection
    seconds: int

    def __repr__(self) -> str:
        return f"_Send({self.announcement.run})"  # the address may hold a password

    def __call__(self, partition: int, batches: Batches) -> Slice:
        return send_partition(batches, self.announcement, partition, self.kafka, delivery_timeout=self.seconds)


@dataclass(frozen=True)
class _Task:
    """One Spark task: the Kafka partitions that it holds, one after the other."""

    work: Callable[[int, Batches], Slice]

    def __call__(self, batches: Batches) -> Batches:
        slices = [self.work(partition, rows).model_dump_json() for partition, rows in by_partition(batches)]
        yield pa.record_batch([pa.array(slices, pa.string())], names=["slice"])


def _for_each_partition(run: Run, work: Callable[[int, Batches], Slice]) -> list[Slice]:
    count = run.settings.publish.partitions
    rows = _by_kafka_partition(run, count).mapInArrow(_Task(work), "slice string").collect()
    done = {piece.partition: piece for piece in (Slice.model_validate_json(row["slice"]) for row in rows)}
    empty = {partition: work(partition, iter(())) for partition in range(count) if partition not in done}
    return [(done | empty)[partition] for partition in range(count)]


def _by_kafka_partition(run: Run, count: int) -> DataFrame:
    """The snapshot with every Kafka partition whole in one task, in order of seq."""
    snapshot = run.tables.read("snapshot")
    return snapshot.repartition(count, "partition").sortWithinPartitions("partition", "seq")
