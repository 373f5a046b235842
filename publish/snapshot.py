"""A partition of a snapshot, row by row as it will be sent: checked, encoded, counted.

Runs wherever the rows are, e.g. in a Spark task: it needs the batches and nothing else.
"""

import itertools
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from conf.contract import IdKind, UserId, snapshot
from publish.announcement import Slice
from publish.codec import encode_rows
from publish.digest import Digest
from publish.errors import SnapshotRefused

CHUNK_ROWS = 1_000
"""Rows encoded and sent at once; bounds memory."""


class Records(NamedTuple):
    """Consecutive records of one partition; the i-th has seq `first_seq + i`."""

    first_seq: int
    keys: list[bytes]
    payloads: list[bytes]


def by_partition(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, Iterator[pa.RecordBatch]]]:
    """The batches of each partition in turn, for a task that holds several; lazy, as itertools.groupby is."""
    return itertools.groupby(_cut(batches), key=lambda batch: batch.column("partition")[0].as_py())


def read_partition(
    batches: Iterable[pa.RecordBatch], partition: int, partitions: int, ids: IdKind
) -> Iterator[Records]:
    """The records of one partition's rows of conf.contract.snapshot; raises SnapshotRefused where one breaks a rule.

    The rules: no nulls; the partition is `partition` and that of the user; seq is 0, 1, 2 …; user ids ascend (strings
    by their UTF-8 bytes); and those of publish.codec.
    """
    next_seq, last = 0, None
    for chunk in _chunks(batches):
        users = _users(chunk, partition, ids)
        keys = [str(user).encode() for user in users] if ids == "int64" else users
        _check_place(chunk, keys, partition, partitions, next_seq)
        last = _check_order(users, last, partition)
        yield Records(next_seq, keys, encode_rows(chunk, ids))
        next_seq += len(keys)


def measure_partition(batches: Iterable[pa.RecordBatch], partition: int, partitions: int, ids: IdKind) -> Slice:
    """What one partition of a snapshot holds; reads each row once; raises SnapshotRefused."""
    digest = Digest()
    for records in read_partition(batches, partition, partitions, ids):
        digest.update(records.keys, records.payloads)
    return slice_of(partition, digest)


def slice_of(partition: int, digest: Digest) -> Slice:
    """The slice of a partition whose records went into `digest`."""
    return Slice(partition=partition, count=digest.count, digest=digest.hex, bytes=digest.bytes)


def _cut(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        if batch.column("partition").null_count:
            raise SnapshotRefused("snapshot: partition is null; write the snapshot again")
        changes = np.flatnonzero(np.diff(batch.column("partition").to_numpy())) + 1
        for start, end in itertools.pairwise([0, *changes.tolist(), batch.num_rows]):
            if end > start:
                yield batch.slice(start, end - start)


def _chunks(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for start in range(0, batch.num_rows, CHUNK_ROWS):
            yield batch.slice(start, CHUNK_ROWS)


def _users(chunk: pa.RecordBatch, partition: int, ids: IdKind) -> list[Any]:
    # The user ids as int, or as UTF-8 where they are strings: both compare as the snapshot is sorted.
    column: Any = chunk.column("user_id")
    wanted = snapshot(ids).field("user_id").type
    if not column.type.equals(wanted):
        raise SnapshotRefused(f"snapshot: user_id is {column.type}, must be {wanted}; write the snapshot again")
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        raise SnapshotRefused(f"snapshot, partition {partition}: a user_id is not UTF-8; repair the events") from None
    users: list[Any] = column.to_pylist() if ids == "int64" else column.cast(pa.binary()).to_pylist()
    if column.null_count or b"" in users:
        raise SnapshotRefused(f"snapshot, partition {partition}: a user_id is null or empty; repair the events")
    return users


def _check_place(chunk: pa.RecordBatch, keys: list[bytes], partition: int, partitions: int, next_seq: int) -> None:
    if chunk.column("partition").to_pylist() != [partition] * len(keys):
        raise SnapshotRefused(f"snapshot, partition {partition}: holds rows of another partition; sort it again")
    if chunk.column("seq").to_pylist() != list(range(next_seq, next_seq + len(keys))):
        raise SnapshotRefused(
            f"snapshot, partition {partition}: seq is not {next_seq} … {next_seq + len(keys) - 1} without a gap; "
            "write the snapshot again"
        )
    for key in keys:
        if zlib.crc32(key) % partitions != partition:
            raise SnapshotRefused(
                f"snapshot, partition {partition}: user {key.decode()} belongs to {zlib.crc32(key) % partitions} of "
                f"{partitions}; write the snapshot again with the topic's number of partitions"
            )


def _check_order(users: list[Any], last: UserId | bytes | None, partition: int) -> UserId | bytes | None:
    before = users if last is None else [last, *users]
    if any(left >= right for left, right in itertools.pairwise(before)):
        raise SnapshotRefused(
            f"snapshot, partition {partition}: user ids do not ascend, or one comes twice; write the snapshot again"
        )
    return users[-1] if users else last
