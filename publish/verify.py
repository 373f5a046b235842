"""The last look at a partition before it may serve: all of it is read back and compared with the announcement."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import redis

from publish.announcement import Announcement
from publish.codec import decode
from publish.digest import Digest
from publish.errors import MalformedMessage
from publish.store_scripts import store_faults

_BUCKETS_AT_ONCE = 64


def nothing() -> None:
    """The pause of who has nothing else to do meanwhile."""


def fault_of(
    client: redis.Redis, run: Announcement, partition: int, *, pause: Callable[[], None] = nothing
) -> str | None:
    """Why this partition of a run must not serve, or None when it equals its announcement.

    `pause` is called every few thousand users, for who must stay responsive. Raises StoreUnreachable when Redis does
    not answer, which says nothing about the lists.
    """
    return _fault_of_bitmap(client, run, partition) or _fault_of_lists(client, run, partition, pause)


def _fault_of_bitmap(client: redis.Redis, run: Announcement, partition: int) -> str | None:
    with store_faults():
        raw = client.get(run.layout.seen(run.run, partition))
    count = run.slices[partition].count
    # SETBIT counts bits from the most significant one, as unpackbits does.
    bits = np.unpackbits(np.frombuffer(raw if isinstance(raw, bytes) else b"", np.uint8))
    seen, highest = int(bits.sum()), int(bits.nonzero()[0].max(initial=-1))
    if seen == count and highest == count - 1:
        return None
    return (
        f"partition {partition}: {seen} of {count} records arrived ({count - seen:+d} missing, highest seq {highest})"
    )


def _fault_of_lists(client: redis.Redis, run: Announcement, partition: int, pause: Callable[[], None]) -> str | None:
    found, piece, users = Digest(), run.slices[partition], 0
    for bucket, lists in _read_back(client, run, partition):
        users += len(lists)
        for key, payload in lists.items():
            if run.layout.place_of_key(key) != (partition, bucket):
                return f"partition {partition}: a user lies in bucket {bucket}, where no reader looks for them"
            if fault := _fault_of_payload(run, payload):
                return f"partition {partition}: {fault}"
            found.update([key], [payload])
        if bucket % _BUCKETS_AT_ONCE == 0:
            pause()
    if users != piece.count:
        return f"partition {partition}: {users} users can be read back, {piece.count} were announced"
    if found.hex != piece.digest:
        return f"partition {partition}: what can be read back has digest {found.hex}, announced was {piece.digest}"
    return None


def _read_back(client: redis.Redis, run: Announcement, partition: int) -> Iterator[tuple[int, dict[bytes, bytes]]]:
    """Bucket by bucket: user → payload."""
    for start in range(0, run.buckets, _BUCKETS_AT_ONCE):
        buckets = range(start, min(start + _BUCKETS_AT_ONCE, run.buckets))
        with store_faults(), client.pipeline(transaction=False) as pipe:
            for bucket in buckets:
                pipe.hgetall(run.layout.bucket(run.run, partition, bucket))
            replies = pipe.execute()
        yield from zip(buckets, replies, strict=True)


def _fault_of_payload(run: Announcement, payload: bytes) -> str | None:
    try:
        sources, scores = decode(payload, run.ids)
    except MalformedMessage as error:
        return error.reason
    if len(set(sources)) != len(sources):
        return "a list holds a source twice"
    return None if math.isfinite(sum(scores)) else "a list holds a score that is not a number"
