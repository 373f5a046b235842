"""Payloads as publish.wire.codec writes lists of int64 ids, judged in machine code."""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

_IDS_TAG, _SCORES_TAG = 0x0A, 0x1A
_SLOTS_LOG2 = 12
_MOST_IDS = 1 << (_SLOTS_LOG2 - 1)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2⁶⁴ ÷ golden ratio: Fibonacci hashing


def are_plain(data: npt.NDArray[np.uint8], sizes: npt.NDArray[np.int64]) -> bool:
    """Whether each of the payloads back to back, of these sizes, is empty, or a packed field of distinct ids, and then
    nothing or a packed field of as many finite scores; False as well for what only protobuf's own code can judge.
    """
    slots = np.zeros(1 << _SLOTS_LOG2, np.uint64)
    return bool(_are_plain(data, np.cumsum(sizes), slots, np.zeros(len(slots), np.int64)))


@njit(cache=True, nogil=True)
def _are_plain(data: Any, ends: Any, ids: Any, owners: Any) -> bool:
    at = 0
    for row in range(len(ends)):
        end = ends[row]
        if at == end:
            continue
        at, stop = _field(data, at, end, _IDS_TAG)
        if at < 0:
            return False
        count = _distinct_ids(data, at, stop, ids, owners, row + 1)
        if count < 0:
            return False
        if stop < end:
            at, stop = _field(data, stop, end, _SCORES_TAG)
            if at < 0 or stop - at != 4 * count or not _are_finite(data, at, stop):
                return False
        if stop != end:
            return False
        at = end
    return True


@njit(cache=True, nogil=True)
def _field(data: Any, at: int, end: int, tag: int) -> tuple[int, int]:
    # Where the content of a field of this tag begins and ends; -1 when it is another one, or longer than the payload.
    if data[at] != tag:
        return -1, -1
    at, size, shift = at + 1, 0, 0
    while at < end and shift < 28:
        byte = int(data[at])
        size |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return (at, at + size) if at + size <= end else (-1, -1)
    return -1, -1


@njit(cache=True, nogil=True)
def _distinct_ids(data: Any, at: int, stop: int, ids: Any, owners: Any, row: int) -> int:
    # How many varints lie there; -1 when one is cut off, too long, or there twice. A hash table, emptied by its owners.
    count = 0
    while at < stop:
        value, shift = np.uint64(0), np.uint64(0)
        while data[at] >= 0x80:
            value |= np.uint64(data[at] & 0x7F) << shift
            at, shift = at + 1, shift + np.uint64(7)
            if at == stop or shift > 63:
                return -1
        if shift == 63 and data[at] > 1:  # more than 64 bits
            return -1
        value |= np.uint64(data[at]) << shift
        at, count = at + 1, count + 1
        slot = np.int64((value * _GOLDEN) >> np.uint64(64 - _SLOTS_LOG2))
        while owners[slot] == row:
            if ids[slot] == value:
                return -1
            slot = (slot + 1) % len(owners)
        ids[slot], owners[slot] = value, row
        if count > _MOST_IDS:
            return -1
    return count


@njit(cache=True, nogil=True)
def _are_finite(data: Any, at: int, stop: int) -> bool:
    faults = 0
    for last in range(at + 3, stop, 4):
        # of an infinity and of NaN, the eight bits of the exponent are set
        faults += data[last] & 0x7F == 0x7F and data[last - 1] >= 0x80
    return faults == 0
