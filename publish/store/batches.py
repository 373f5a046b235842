"""Columns of records to be stored in Redis: the arguments of one atomic call."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from publish.wire.announcement import Announcement
from publish.wire.digest import record_hash_text

Ints = npt.NDArray[np.int64]


class Batch(NamedTuple):
    """Lists to be stored in buckets; index i of each column is one record."""

    seqs: Ints
    buckets: Ints
    users: list[bytes]
    payloads: list[bytes]

    def cut(self, size: int) -> Iterator[Self]:
        """Yields pieces of at most `size` records; for speed, records of a bucket stay together where they fit."""
        groups, start, number = _group_starts(self), 0, len(self.users)
        while start < number:
            end = start + size
            if end < number and (whole := int(groups[groups.searchsorted(end, "right") - 1])) > start:
                end = whole
            piece = slice(start, end)
            yield type(self)(self.seqs[piece], self.buckets[piece], self.users[piece], self.payloads[piece])
            start = end

    def hashes(self, places: Iterable[int]) -> dict[int, str]:
        """Returns the hash text of each record at these places; it is stored instead of an erased user's list."""
        return {place: record_hash_text(self.users[place], self.payloads[place]) for place in places}

    def keys(self, run: Announcement, partition: int) -> list[str]:
        """Returns KEYS of load.lua; consecutive records of the same bucket form a group, with one key per group."""
        layout, name = run.layout, run.run
        keys = [layout.position(partition), layout.state(name, partition), layout.seen(name, partition)]
        keys += [layout.erased(partition), layout.erased_in(name, partition)]
        starts = _group_starts(self)
        return keys + [layout.bucket(name, partition, bucket) for bucket in self.buckets[starts].tolist()]

    def words(self, erased: Mapping[int, str]) -> list[bytes]:
        """Returns ARGV of load.lua after the position's.

        `erased`: the hashes of records known to be of erased users, by place in the batch.
        """
        consecutive = bool((np.diff(self.seqs) == 1).all())
        seqs = self.seqs[:1] if consecutive else self.seqs
        sizes = np.diff(_group_starts(self), append=len(self.users))
        flags = b"".join(place.to_bytes(2, "big") + text.encode() for place, text in erased.items())
        records = [b""] * (2 * len(self.users))
        records[::2], records[1::2] = self.users, self.payloads
        return [seqs.astype(">u4").tobytes(), sizes.astype(">u2").tobytes(), flags, *records]


def _group_starts(batch: Batch) -> Ints:
    return np.flatnonzero(np.diff(batch.buckets, prepend=-1))
