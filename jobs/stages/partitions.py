"""Makes the snapshot of a run's lists inside Spark, measures it by Kafka partition, and sends it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa
from pyspark import StorageLevel
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as sf

from conf.connections import KafkaConnection
from conf.contract import IdKind
from features.placement import bucket_column, partition_column
from jobs.run.context import Run
from publish.send.producer import send_partitions
from publish.send.sender import Sender
from publish.send.snapshot import by_partition, measure_partition
from publish.wire.announcement import Announcement, Slice
from publish.wire.keys import Layout

Batches = Iterator[pa.RecordBatch]
Partitions = Iterable[tuple[int, Batches]]


def snapshot_of(run: Run, layout: Layout) -> DataFrame:
    """Returns the snapshot's rows with each Kafka partition whole in one task and in order of seq.

    They are shuffled once and kept on disk until `unpersist`, to be written, measured and sent. Where a former attempt
    finished the table, they are its rows: of lists that were read later, more users may be erased.
    """
    user = sf.col("user_id")
    rows = run.tables.read("snapshot" if run.folder.finished("snapshot") else "lists")
    if not run.settings.publish.scores:
        rows = rows.withColumn("scores", sf.array().cast("array<float>"))
    placed = rows.withColumn("partition", partition_column(user, layout.partitions))
    bucket = bucket_column(user, layout.partitions, layout.buckets)
    seq = sf.row_number().over(Window.partitionBy("partition").orderBy(bucket, user)).cast("long") - 1
    return placed.repartition(layout.partitions, "partition").withColumn("seq", seq).persist(StorageLevel.DISK_ONLY)


def measure_slices(snapshot: DataFrame, layout: Layout, ids: IdKind) -> list[Slice]:
    """Returns count, digest and bytes of every partition, empty ones included. Raises SnapshotRefused."""
    return _for_each_partition(snapshot, layout.partitions, _Measure(layout, ids))


def send_slices(run: Run, snapshot: DataFrame, announcement: Announcement) -> list[Slice]:
    """Sends every partition from the task that holds it. Returns what was acknowledged. Raises DeliveryError."""
    seconds = run.settings.publish.delivery_timeout_seconds
    return _for_each_partition(snapshot, announcement.partitions, _Send(announcement, run.servers.kafka, seconds))


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


def _for_each_partition(snapshot: DataFrame, count: int, work: Callable[[Partitions], list[Slice]]) -> list[Slice]:
    rows = snapshot.mapInArrow(_Task(work), "slice string").collect()
    done = {piece.partition: piece for piece in (Slice.model_validate_json(row["slice"]) for row in rows)}
    empty = work([(partition, iter(())) for partition in range(count) if partition not in done])
    return sorted([*done.values(), *empty], key=lambda piece: piece.partition)
