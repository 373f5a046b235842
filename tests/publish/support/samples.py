"""Small snapshots and the announcements that fit them."""

import socket
from datetime import UTC, date, datetime

import pyarrow as pa

from conf.contract import snapshot
from conf.ids import IdKind, UserId, bucket_of, partition_of
from publish.send.snapshot import measure_partition
from publish.wire.announcement import Announcement, Slice, encode_fallback
from publish.wire.encoding import encode_list
from publish.wire.keys import Layout

Lists = dict[UserId, list[UserId]]
CREATED = datetime(2026, 11, 16, 3, 0, tzinfo=UTC)


def layout_for(lists: Lists, partitions: int, users_per_bucket: int = 2) -> Layout:
    """The layout of the run that publishes these lists."""
    return Layout.plan("groups", partitions, len(lists), users_per_bucket)


def partition_batch(
    lists: Lists, partition: int, partitions: int, ids: IdKind = "int64", buckets: int | None = None
) -> pa.RecordBatch:
    """The snapshot's rows of one partition; scores fall by 1 from the length of the list.

    `buckets`: as the run's layout says; default: that of `layout_for`.
    """
    buckets = layout_for(lists, partitions).buckets if buckets is None else buckets
    users = sorted(
        (user for user in lists if partition_of(user, partitions) == partition),
        key=lambda user: (bucket_of(user, partitions, buckets), user),
    )
    columns = {
        "partition": [partition] * len(users),
        "seq": list(range(len(users))),
        "user_id": users,
        "source_ids": [lists[user] for user in users],
        "scores": [[float(score) for score in range(len(lists[user]), 0, -1)] for user in users],
    }
    return pa.RecordBatch.from_pydict(columns, schema=snapshot(ids))


def batches_of(
    lists: Lists, partitions: int, ids: IdKind = "int64", buckets: int | None = None
) -> list[pa.RecordBatch]:
    """The whole snapshot, one batch per partition."""
    return [partition_batch(lists, partition, partitions, ids, buckets) for partition in range(partitions)]


def announcement_of(
    lists: Lists,
    *,
    product: str = "groups",
    partitions: int = 3,
    ids: IdKind = "int64",
    fallback: tuple[UserId, ...] = (900, 901, 902),
    run: str = "20261116T030000Z-20261116-1",
    epoch: int = 1,
    list_size: int = 2,
    users_per_bucket: int = 2,
) -> Announcement:
    """The announcement of the run that publishes these lists."""
    layout = Layout.plan(product, partitions, len(lists), users_per_bucket)
    return Announcement(
        run=run,
        epoch=epoch,
        product=product,
        as_of=date(2026, 11, 16),
        partitions=partitions,
        buckets=layout.buckets,
        tags=layout.tags,
        ids=ids,
        list_size=list_size,
        salt="discovery-1",
        share_bp=10_000,
        slices=slices_of(lists, partitions, ids, users_per_bucket),
        fallback=encode_fallback(encode_list(pa.array(fallback), None, ids)),
        scheduled=True,
        gates_passed=True,
        max_change_of_users=0.5,
        config_hash="0123456789abcdef",
        created_at=CREATED,
        load_deadline_seconds=600,
        stall_seconds=60,
    )


def slices_of(lists: Lists, partitions: int, ids: IdKind = "int64", users_per_bucket: int = 2) -> tuple[Slice, ...]:
    """What each partition of these lists holds."""
    layout = layout_for(lists, partitions, users_per_bucket)
    batches = batches_of(lists, partitions, ids, layout.buckets)
    return tuple(measure_partition([batch], place, layout, ids) for place, batch in enumerate(batches))


_BOUND: list[socket.socket] = []


def closed_port() -> int:
    """A loopback port on which nothing listens; it is bound, so that nobody else comes to listen on it."""
    _BOUND.append(socket.socket())
    _BOUND[-1].bind(("127.0.0.1", 0))
    return int(_BOUND[-1].getsockname()[1])
