"""Makes the snapshot of a run's lists inside Spark, measures it by Kafka partition, and sends it."""

from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa
from pyspark import StorageLevel
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as sf

from conf.ids import IdKind
from features.hash_columns import bucket_column, partition_column
from jobs.run.context import Run
from publish.send.producer import send_partitions
from publish.send.sender import Sender
from publish.send.snapshot import by_partition, measure_partition
from publish.wire.announcement import Announcement, Slice
from publish.wire.keys import Layout

Batches = Iterator[pa.RecordBatch]
Partitions = Iterable[tuple[int, Batches]]

_ROWS_PER_TASK = 50_000
"""Rows for which another task is worth it: the producer of each waits half a second for the broker."""


def snapshot_of(run: Run, layout: Layout) -> DataFrame:
    """Returns the snapshot's rows with each Kafka partition whole in one task and in order of seq.

    Each in a task of its own: by a hash, some tasks would get three or four partitions and others none. They are
    shuffled once and kept on disk until `unpersist`, to be written, measured and sent. Where a former attempt
    finished the table, they are its rows: of lists that were read later, more users may be erased.
    """
    rows = run.tables.read("snapshot" if run.folder.finished("snapshot") else "lists")
    user = sf.col("user_id")  # not before there is a session, which a stage that is started alone opens by reading
    if not run.settings.publish.scores:
        rows = rows.withColumn("scores", sf.array().cast("array<float>"))
    placed = rows.withColumn("partition", partition_column(user, layout.partitions))
    bucket = bucket_column(user, layout.partitions, layout.buckets)
    seq = sf.row_number().over(Window.partitionBy("partition").orderBy(bucket, user)).cast("long") - 1
    return placed.repartitionById(layout.partitions, "partition").withColumn("seq", seq).persist(StorageLevel.DISK_ONLY)


def in_few_tasks(snapshot: DataFrame, rows: int) -> DataFrame:
    """Returns the snapshot's rows with several partitions in a task where these are small, one after the other."""
    return snapshot.coalesce(1 + rows // _ROWS_PER_TASK)


def measure_slices(snapshot: DataFrame, layout: Layout, ids: IdKind) -> list[Slice]:
    """Returns count, digest and bytes of every partition, empty ones included. Raises SnapshotRefused."""

    def measure(partitions: Partitions) -> list[Slice]:
        return [measure_partition(rows, partition, layout, ids) for partition, rows in partitions]

    return _for_each_partition(snapshot, layout.partitions, measure)


def send_slices(run: Run, snapshot: DataFrame, announcement: Announcement) -> list[Slice]:
    """Sends every partition from the task that holds it. Returns what was acknowledged. Raises DeliveryError."""
    kafka, seconds = run.servers.kafka, run.settings.publish.delivery_timeout_seconds

    def send(partitions: Partitions) -> list[Slice]:
        with Sender(announcement.layout.topic, kafka, delivery_timeout=seconds) as sender:
            return send_partitions(partitions, announcement, sender)

    return _for_each_partition(snapshot, announcement.partitions, send)


def _for_each_partition(snapshot: DataFrame, count: int, work: Callable[[Partitions], list[Slice]]) -> list[Slice]:
    """Lets `work` process the Kafka partitions of each Spark task, and the empty ones here."""

    def task(batches: Batches) -> Batches:
        slices = [piece.model_dump_json() for piece in work(by_partition(batches))]
        yield pa.record_batch([pa.array(slices, pa.string())], names=["slice"])

    rows = snapshot.mapInArrow(task, "slice string").collect()
    done = {piece.partition: piece for piece in (Slice.model_validate_json(row["slice"]) for row in rows)}
    empty = work([(partition, iter(())) for partition in range(count) if partition not in done])
    return sorted([*done.values(), *empty], key=lambda piece: piece.partition)
