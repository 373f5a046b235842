"""Packs lists as protobuf and validates packed lists, in compiled code (numba).

Importing numba takes a second; only publishers and loaders need this module, readers do not. Indexes are unsigned; for
signed ones numba would check each time whether it counts from the end.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from publish.wire.columns import Bytes, Ints

IDS_TAG, NAMES_TAG, SCORES_TAG = 0x0A, 0x12, 0x1A
"""Fields of `lists.proto`: number and wire type."""
_MOST_HEAD = 11  # bytes of a tag and a varint
_LEAST_SLOTS_LOG2 = 12
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2⁶⁴ ÷ golden ratio: Fibonacci hashing
_U = np.uint64
_MORE, _SEVEN = np.uint64(0x80), np.uint64(7)


def has_duplicates(ids: npt.NDArray[np.uint64], ends: Ints) -> bool:
    """Returns whether any of the joined lists, which end at `ends`, holds an id twice."""
    longest = int(np.diff(ends, prepend=0).max(initial=0))
    slots_log2 = max(_LEAST_SLOTS_LOG2, (2 * longest).bit_length())
    slots = np.zeros(1 << slots_log2, np.uint64)
    return bool(_has_duplicates(ids, ends, slots, np.zeros(len(slots), np.int64), np.uint64(64 - slots_log2)))


def pack_ids(ids: npt.NDArray[np.uint64], ends: Ints) -> tuple[Bytes, Ints]:
    """Returns the joined lists, each as a packed field of varints (no bytes if empty), and the end of each."""
    sizes = np.empty(len(ends), np.int64)
    total = _varint_bytes(ids, ends, sizes)
    data, data_ends = np.empty(total + _MOST_HEAD * len(ends), np.uint8), np.empty(len(ends), np.int64)
    return data[: _pack_ids(ids, ends, sizes, data, data_ends)], data_ends


def pack_fields(tag: int, data: Bytes, ends: Ints, *, empty_too: bool) -> tuple[Bytes, Ints]:
    """Returns the joined pieces of `data`, each after `tag` and length, and the end of each.

    Empty pieces are written only if `empty_too`.
    """
    found, found_ends = np.empty(len(data) + _MOST_HEAD * len(ends), np.uint8), np.empty(len(ends), np.int64)
    return found[: _pack_fields(tag, data, ends, empty_too, found, found_ends)], found_ends


def are_plain(data: Bytes, ends: Ints) -> bool:
    """Returns whether each of the joined payloads is surely a valid list of int64 ids.

    Valid: empty, or a packed field of distinct ids, then nothing or a packed field of as many finite scores. False also
    means "not decided"; then protobuf's own code must decode it.
    """
    slots = np.zeros(1 << _LEAST_SLOTS_LOG2, np.uint64)
    return bool(_are_plain(data, ends, slots, np.zeros(len(slots), np.int64)))


@njit(cache=True, nogil=True)
def _met_before(value: Any, row: int, slots: Any, owners: Any, shift: Any) -> bool:
    # A hash table with open addressing; a slot is taken if its owner is `row`, so a new row number empties the table.
    mask, slot = _U(len(slots) - 1), (value * _GOLDEN) >> shift
    while owners[slot] == row:
        if slots[slot] == value:
            return True
        slot = (slot + _U(1)) & mask
    slots[slot], owners[slot] = value, row
    return False


@njit(cache=True, nogil=True)
def _has_duplicates(ids: Any, ends: Any, slots: Any, owners: Any, shift: Any) -> bool:
    start = _U(0)
    for row in range(len(ends)):
        end = _U(ends[row])
        for place in range(start, end):
            if _met_before(ids[place], row + 1, slots, owners, shift):
                return True
        start = end
    return False


@njit(cache=True, nogil=True)
def _varint_bytes(ids: Any, ends: Any, sizes: Any) -> int:
    # Writes the bytes of each list's varints into `sizes`; returns their sum.
    start, total = _U(0), 0
    for row in range(len(ends)):
        end, size = _U(ends[row]), 0
        for place in range(start, end):
            size += 1
            for bits in range(7, 64, 7):
                size += ids[place] >= _U(1) << _U(bits)
        sizes[row] = size
        start, total = end, total + size
    return total


@njit(cache=True, nogil=True)
def _varint(value: Any, data: Any, at: Any) -> Any:
    # Writes a base-128 varint at `at`; returns the index behind it.
    while value >= _MORE:
        data[at] = np.uint8(value | _MORE)
        value >>= _SEVEN
        at += _U(1)
    data[at] = np.uint8(value)
    return at + _U(1)


@njit(cache=True, nogil=True)
def _pack_ids(ids: Any, ends: Any, sizes: Any, data: Any, data_ends: Any) -> Any:
    at, start = _U(0), _U(0)
    for row in range(len(ends)):
        end = _U(ends[row])
        if start < end:
            data[at] = IDS_TAG
            at = _varint(_U(sizes[row]), data, at + _U(1))
            for place in range(start, end):
                at = _varint(ids[place], data, at)
        data_ends[row], start = at, end
    return at


@njit(cache=True, nogil=True)
def _pack_fields(tag: int, data: Any, ends: Any, empty_too: Any, found: Any, found_ends: Any) -> Any:
    at, start = _U(0), _U(0)
    for row in range(len(ends)):
        end = _U(ends[row])
        if start < end or empty_too:
            found[at] = tag
            at = _varint(end - start, found, at + _U(1))
            for place in range(end - start):
                found[at + place] = data[start + place]
            at += end - start
        found_ends[row], start = at, end
    return at


@njit(cache=True, nogil=True)
def _are_plain(data: Any, ends: Any, slots: Any, owners: Any) -> bool:
    at = _U(0)
    for row in range(len(ends)):
        end = _U(ends[row])
        if at == end:
            continue
        at, stop = _field(data, at, end, IDS_TAG)
        if at == stop:
            return False
        count = _distinct_ids(data, at, stop, row + 1, slots, owners)
        if count < 0:
            return False
        if stop < end:
            at, stop = _field(data, stop, end, SCORES_TAG)
            if stop - at != _U(4 * count) or not _are_finite(data, at, stop):
                return False
        if stop != end:
            return False
        at = end
    return True


@njit(cache=True, nogil=True)
def _field(data: Any, at: Any, end: Any, tag: int) -> Any:
    # Returns start and end of the content of a field with this tag; (end, end) for another tag or one beyond the row.
    if data[at] != tag:
        return end, end
    at, size, shift = at + _U(1), _U(0), _U(0)
    while at < end and shift < _U(28):
        byte = _U(data[at])
        size |= (byte & _U(0x7F)) << shift
        at, shift = at + _U(1), shift + _SEVEN
        if byte < _MORE:
            return (at, at + size) if at + size <= end else (end, end)
    return end, end


@njit(cache=True, nogil=True)
def _distinct_ids(data: Any, at: Any, stop: Any, row: int, slots: Any, owners: Any) -> int:
    # Returns the number of varints; -1 if one is truncated, too long or repeated, or if they would fill the table.
    count, shift_of_hash = 0, _U(64 - _LEAST_SLOTS_LOG2)
    while at < stop:
        value, shift = _U(0), _U(0)
        while data[at] >= 0x80:
            value |= _U(data[at] & 0x7F) << shift
            at, shift = at + _U(1), shift + _SEVEN
            if at == stop or shift > _U(63):
                return -1
        if shift == _U(63) and data[at] > 1:  # more than 64 bits
            return -1
        value |= _U(data[at]) << shift
        at, count = at + _U(1), count + 1
        if 2 * count > len(slots) or _met_before(value, row, slots, owners, shift_of_hash):
            return -1
    return count


@njit(cache=True, nogil=True)
def _are_finite(data: Any, at: Any, stop: Any) -> bool:
    faults = 0
    for last in range(at + _U(3), stop, _U(4)):
        # infinities and NaN have all eight exponent bits set
        faults += data[last] & 0x7F == 0x7F and data[last - _U(1)] >= 0x80
    return faults == 0
