"""Sends a run: BEGIN to every partition, its records, and END once the broker has acknowledged them all.

Each process sends through one idempotent producer, so a retry inside librdkafka neither duplicates nor reorders.
Sending a partition again, as a retried task does, is harmless: the same seq has the same bytes.
"""

from collections.abc import Callable, Iterable, Sequence

import pyarrow as pa

from publish.errors import SnapshotRefused
from publish.send.sender import Sender
from publish.send.snapshot import read_partition, slice_of
from publish.wire.announcement import Announcement, Slice
from publish.wire.digest import Digest
from publish.wire.messages import MARK_KEY, begin_value, end_value
from publish.wire.record_rows import pack_rows


def send_begin(announcement: Announcement, sender: Sender) -> None:
    """Sends BEGIN to every partition and waits until all are acknowledged; raises DeliveryError."""
    _send_marks(announcement, sender, lambda piece: begin_value(announcement, piece.partition))


def send_partitions(
    partitions: Iterable[tuple[int, Iterable[pa.RecordBatch]]], announcement: Announcement, sender: Sender
) -> list[Slice]:
    """Sends the snapshot's rows of some partitions; returns their acknowledged slices, equal to the announced ones.

    Raises SnapshotRefused, DeliveryError.
    """
    sent = [_queue_rows(partition, batches, announcement, sender) for partition, batches in partitions]
    sender.finish()
    return sent


def send_end(announcement: Announcement, sent: Sequence[Slice], sender: Sender) -> None:
    """Sends END to every partition; `sent` is the result of send_partitions for all of them.

    Raises SnapshotRefused before sending anything if `sent` is not everything that was announced; DeliveryError.
    """
    partitions = sorted(piece.partition for piece in sent)
    if partitions != list(range(announcement.partitions)):
        raise SnapshotRefused(
            f"run {announcement.run}: the partitions {partitions} were acknowledged, not each of the "
            f"{announcement.partitions} once; no END goes out and the run cannot serve; send it again"
        )
    check_sent(announcement, sent)
    _send_marks(announcement, sender, lambda piece: end_value(announcement, piece))


def check_sent(announcement: Announcement, sent: Iterable[Slice]) -> None:
    """Raises SnapshotRefused unless each slice equals the announced one."""
    for piece in sent:
        announced = announcement.slices[piece.partition]
        if piece != announced:
            raise SnapshotRefused(
                f"run {announcement.run}, partition {piece.partition}: sent {piece.count} records ({piece.digest}), "
                f"announced {announced.count} ({announced.digest}): the snapshot is not the one that was announced; "
                "the run cannot serve; start a new one"
            )


def _queue_rows(partition: int, batches: Iterable[pa.RecordBatch], announcement: Announcement, sender: Sender) -> Slice:
    digest = Digest()
    for records in read_partition(batches, partition, announcement.layout, announcement.ids):
        values = pack_rows(announcement.epoch, records.first_seq, records.keys, records.payloads)
        sender.send(partition, records.keys, values)
        digest.update(records.keys, records.payloads)
    queued = slice_of(partition, digest)
    check_sent(announcement, [queued])
    return queued


def _send_marks(announcement: Announcement, sender: Sender, value: Callable[[Slice], bytes]) -> None:
    for piece in announcement.slices:
        sender.send(piece.partition, [MARK_KEY], [value(piece)])
    sender.finish()
