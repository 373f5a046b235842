"""Reads one partition of a snapshot as records to send: checks, encodes and counts its rows.

Needs only the batches, so it can run where the rows are, e.g. in a Spark task.
"""

import itertools
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from conf.contract import snapshot
from conf.ids import ID_RULE, IdKind, UserId
from publish.errors import SnapshotRefused
from publish.wire.announcement import Slice
from publish.wire.digest import Digest
from publish.wire.encoding import are_ids, encode_rows
from publish.wire.keys import Layout

CHUNK_ROWS = 1_000
"""Rows that are encoded and sent at once; limits memory."""


class Records(NamedTuple):
    """Consecutive records of one partition; the i-th has seq `first_seq + i`."""

    first_seq: int
    keys: list[bytes]
    payloads: list[bytes]


def by_partition(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, Iterator[pa.RecordBatch]]]:
    """Returns each partition with its batches, for a task that holds several; lazy like itertools.groupby."""
    return itertools.groupby(_cut(batches), key=lambda batch: batch.column("partition")[0].as_py())


def read_partition(batches: Iterable[pa.RecordBatch], partition: int, layout: Layout, ids: IdKind) -> Iterator[Records]:
    """Yields the records of one partition's rows; raises SnapshotRefused if a row breaks a rule.

    Rules, beside those of conf.contract.snapshot and publish.wire.codec: no nulls; every row is of `partition`, and its
    user too; seq is 0, 1, 2 …; users ascend by bucket, then by id (strings by their UTF-8 bytes).
    """
    next_seq, last = 0, None
    for chunk in _chunks(batches):
        users = _users(chunk, partition, ids)
        keys: list[bytes] = users.tolist() if ids == "string" else [b"%d" % user for user in users.tolist()]
        _check_rows(chunk, partition, next_seq)
        last = _check_places(users, keys, partition, layout, last)
        yield Records(next_seq, keys, encode_rows(chunk, ids))
        next_seq += len(keys)


def measure_partition(batches: Iterable[pa.RecordBatch], partition: int, layout: Layout, ids: IdKind) -> Slice:
    """Returns the slice of one partition of a snapshot; reads each row once; raises SnapshotRefused."""
    digest = Digest()
    for records in read_partition(batches, partition, layout, ids):
        digest.update(records.keys, records.payloads)
    return slice_of(partition, digest)


def slice_of(partition: int, digest: Digest) -> Slice:
    """Returns the slice of a partition whose records were added to `digest`."""
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


def _users(chunk: pa.RecordBatch, partition: int, ids: IdKind) -> npt.NDArray[Any]:
    # Returns user ids as int64, strings as UTF-8: both compare in the snapshot's sort order.
    column: Any = chunk.column("user_id")
    wanted = snapshot(ids).field("user_id").type
    if not column.type.equals(wanted):
        raise SnapshotRefused(f"snapshot: user_id is {column.type}, must be {wanted}; write the snapshot again")
    if column.null_count:
        raise SnapshotRefused(f"snapshot, partition {partition}: a user_id is null; repair the events")
    if ids == "string" and not are_ids(column):
        raise SnapshotRefused(f"snapshot, partition {partition}: a user_id is not {ID_RULE}; repair the events")
    users: npt.NDArray[Any] = column.to_numpy() if ids == "int64" else _objects(column.cast(pa.binary()).to_pylist())
    return users


def _objects(values: list[bytes]) -> npt.NDArray[Any]:
    # numpy's type for bytes drops trailing zero bytes
    array = np.empty(len(values), object)
    array[:] = values
    return array


def _check_rows(chunk: pa.RecordBatch, partition: int, next_seq: int) -> None:
    partitions, seqs = chunk.column("partition"), chunk.column("seq")
    if partitions.null_count or (partitions.to_numpy() != partition).any():
        raise SnapshotRefused(f"snapshot, partition {partition}: holds rows of another partition; sort it again")
    if seqs.null_count or (seqs.to_numpy() != np.arange(next_seq, next_seq + len(seqs))).any():
        raise SnapshotRefused(
            f"snapshot, partition {partition}: seq is not {next_seq} … {next_seq + len(seqs) - 1} without a gap; "
            "write the snapshot again"
        )


_Place = tuple[int, UserId | bytes]
"""Bucket and user: the order of the rows."""


def _check_places(
    users: npt.NDArray[Any], keys: list[bytes], partition: int, layout: Layout, last: _Place | None
) -> _Place:
    # Returns the place of the last of these users, who come after `last`.
    quotients, found = np.divmod(np.fromiter(map(zlib.crc32, keys), np.int64, len(keys)), layout.partitions)
    if (misplaced := np.flatnonzero(found != partition)).size:
        raise SnapshotRefused(
            f"snapshot, partition {partition}: user {keys[misplaced[0]].decode()} belongs to {found[misplaced[0]]} of "
            f"{layout.partitions}; write the snapshot again with the topic's number of partitions"
        )
    buckets = quotients % layout.buckets
    steps = np.diff(buckets)
    ascends = (steps > 0) | ((steps == 0) & (users[1:] > users[:-1]))
    if not ascends.all() or (last is not None and last >= (buckets[0], users[0])):
        raise SnapshotRefused(
            f"snapshot, partition {partition}: users do not ascend by bucket of {layout.buckets}, then by id, or one "
            "comes twice; write the snapshot again"
        )
    return int(buckets[-1]), users[-1]
