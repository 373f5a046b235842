"""Verifies a partition before it may serve: everything is read back and compared with the announcement.

The lists in its buckets, plus the hashes kept for erased users instead of their lists, must add up to what was
announced.
"""

import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from publish.connect.redis_clients import StoreClient
from publish.connect.store_scripts import store_faults
from publish.store.batches import Ints
from publish.store.payloads import fault_in
from publish.wire.announcement import Announcement
from publish.wire.digest import Digest

_LISTS_AT_ONCE = 1_600  # in one pipeline, which blocks other clients of Redis
_HASH = re.compile(rb"[0-9a-f]{16}")


class _Lists(NamedTuple):
    """The lists in some consecutive buckets; index i of each column is one list."""

    buckets: Ints
    users: list[bytes]
    payloads: list[bytes]


def nothing() -> None:
    """Does nothing; the default of `pause`."""


def fault_of(
    client: StoreClient, run: Announcement, partition: int, *, pause: Callable[[], None] = nothing
) -> str | None:
    """Returns why this partition of a run must not serve, or None if it matches its announcement.

    `pause` is called every few thousand users, for callers that must stay responsive. Raises StoreUnreachable if Redis
    does not answer, which says nothing about the lists.
    """
    if fault := _fault_of_bitmap(client, run, partition):
        return fault
    erased, fault = _erased(client, run, partition), None
    while True:
        fault = _fault_of_erased(run, partition, erased) or _fault_of_lists(client, run, partition, erased, pause)
        before, erased = erased, _erased(client, run, partition)
        if erased == before:  # else a user was erased while the lists were read
            return fault


def _fault_of_bitmap(client: StoreClient, run: Announcement, partition: int) -> str | None:
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


def _erased(client: StoreClient, run: Announcement, partition: int) -> dict[bytes, bytes]:
    """Returns user → hash of the list that is not stored because the user is erased."""
    with store_faults():
        erased: Mapping[Any, Any] = client.hgetall(run.layout.erased_in(run.run, partition))
    return dict(erased)


def _fault_of_erased(run: Announcement, partition: int, erased: Mapping[bytes, bytes]) -> str | None:
    for user, hashed in erased.items():
        if not _HASH.fullmatch(hashed):
            return f"partition {partition}: the value kept for an erased user's list is not a hash"
        if (home := run.layout.place_of_key(user)[0]) != partition:
            return f"partition {partition}: holds the hash of an erased user of partition {home}"
    return None


def _fault_of_lists(
    client: StoreClient, run: Announcement, partition: int, erased: Mapping[bytes, bytes], pause: Callable[[], None]
) -> str | None:
    found, piece = Digest(), run.slices[partition]
    for hashed in erased.values():
        found.add_hash(int(hashed, 16))
    for lists in _read_back(client, run, partition):
        if (bucket := _misplaced(lists, run, partition)) is not None:
            return f"partition {partition}: a user lies in bucket {bucket}, where no reader looks for them"
        if fault := fault_in(lists.payloads, run.ids):
            return f"partition {partition}: {fault}"
        found.update(lists.users, lists.payloads)
        pause()
    if found.count != piece.count:
        but = f" and {len(erased)} are erased" if erased else ""
        users = found.count - len(erased)
        return f"partition {partition}: {users} users can be read back{but}, {piece.count} were announced"
    if found.hex != piece.digest:
        return f"partition {partition}: what can be read back has digest {found.hex}, announced was {piece.digest}"
    return None


def _misplaced(lists: _Lists, run: Announcement, partition: int) -> int | None:
    """Returns the first bucket with a user who belongs elsewhere (vectorised Layout.place_of_key), or None."""
    crcs = np.fromiter(map(zlib.crc32, lists.users), np.int64, len(lists.users))
    wrong = (crcs % run.partitions != partition) | (crcs // run.partitions % run.buckets != lists.buckets)
    return int(lists.buckets[wrong.argmax()]) if wrong.any() else None


def _read_back(client: StoreClient, run: Announcement, partition: int) -> Iterator[_Lists]:
    """Yields all lists of the partition; a thread reads the next buckets meanwhile."""
    pieces = _pieces(run, partition)
    with ThreadPoolExecutor(1) as reader:
        ahead = reader.submit(_read, client, run, partition, pieces[0])
        for following in [*pieces[1:], None]:
            lists = ahead.result()
            if following is not None:
                ahead = reader.submit(_read, client, run, partition, following)
            yield lists


def _pieces(run: Announcement, partition: int) -> list[range]:
    """Returns all buckets in pieces of about as many lists, however many users the run keeps in a bucket."""
    step = run.buckets * _LISTS_AT_ONCE // max(1, run.slices[partition].count)
    step = min(max(1, step), _LISTS_AT_ONCE)  # of empty ones no more either
    return [range(start, min(start + step, run.buckets)) for start in range(0, run.buckets, step)]


def _read(client: StoreClient, run: Announcement, partition: int, buckets: range) -> _Lists:
    with store_faults(), client.pipeline(transaction=False) as pipe:
        for bucket in buckets:
            pipe.hgetall(run.layout.bucket(run.run, partition, bucket))
        hashes: list[dict[bytes, bytes]] = pipe.execute()
    places = np.repeat(np.array(buckets, np.int64), [len(found) for found in hashes])
    return _Lists(places, list(chain.from_iterable(hashes)), list(chain.from_iterable(map(dict.values, hashes))))
