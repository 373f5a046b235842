"""Builds and checks record envelopes in compiled code (numba), many at a time; the CRC-32 is zlib's.

Indexes are unsigned; for signed ones numba would check each time whether it counts from the end.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from publish.wire.columns import Bytes, Ints

_U = np.uint64


def seal(heads: Bytes, keys: Bytes, key_ends: Ints, payloads: Bytes, ends: Ints) -> Bytes:
    """Returns for each record its head, a CRC-32 (big endian) over head, key and payload, and its payload, joined.

    `heads` has shape (records, bytes of a head); keys and payloads are joined, with the end offset of each.
    """
    size = heads.shape[1] + 4
    values = np.empty(len(payloads) + size * len(ends), np.uint8)
    _seal(heads, keys, key_ends, payloads, ends, values, _CRC_TABLES)
    return values


def checksums(values: Bytes, ends: Ints, head: int, keys: Bytes, key_ends: Ints) -> npt.NDArray[np.uint32]:
    """Returns the CRC-32 that `seal` would have put behind the first `head` bytes of each value."""
    found = np.empty(len(ends), np.uint32)
    _checksums(values, ends, head, keys, key_ends, found, _CRC_TABLES)
    return found


def _crc_tables() -> npt.NDArray[np.uint64]:
    # Row k: the contribution of a byte to a CRC-32 (polynomial 0xEDB88320, reflected) k bytes later.
    tables = np.zeros((8, 256), np.uint64)
    tables[0] = np.arange(256)
    for _ in range(8):
        tables[0] = tables[0] >> _U(1) ^ np.where(tables[0] & _U(1), _U(0xEDB88320), _U(0))
    for later in range(1, 8):
        tables[later] = tables[0][tables[later - 1] & _U(255)] ^ tables[later - 1] >> _U(8)
    return tables


_CRC_TABLES = _crc_tables()


@njit(cache=True, nogil=True)
def _crc(data: Any, at: Any, end: Any, crc: Any, tables: Any) -> Any:
    # Continues a CRC-32 eight bytes at a time by independent table look-ups
    # (Kounavis and Berry, "A Systematic Approach to Building High Performance Software-Based CRC Generators", 2005).
    byte = _U(255)
    while at + _U(8) <= end:
        crc ^= (
            _U(data[at])
            | _U(data[at + _U(1)]) << _U(8)
            | _U(data[at + _U(2)]) << _U(16)
            | _U(data[at + _U(3)]) << _U(24)
        )
        first = tables[7, crc & byte] ^ tables[6, crc >> _U(8) & byte] ^ tables[5, crc >> _U(16) & byte]
        second = tables[4, crc >> _U(24)] ^ tables[3, _U(data[at + _U(4)])] ^ tables[2, _U(data[at + _U(5)])]
        crc = first ^ second ^ tables[1, _U(data[at + _U(6)])] ^ tables[0, _U(data[at + _U(7)])]
        at += _U(8)
    while at < end:
        crc = tables[0, (crc ^ _U(data[at])) & byte] ^ crc >> _U(8)
        at += _U(1)
    return crc


@njit(cache=True, nogil=True)
def _seal(heads: Any, keys: Any, key_ends: Any, payloads: Any, ends: Any, values: Any, tables: Any) -> None:
    at, key_start, start, ones, head = _U(0), _U(0), _U(0), _U(0xFFFFFFFF), _U(heads.shape[1])
    for row in range(len(ends)):
        key_end, end = _U(key_ends[row]), _U(ends[row])
        for place in range(head):
            values[at + place] = heads[row, place]
        crc = _crc(values, at, at + head, ones, tables)
        crc = _crc(keys, key_start, key_end, crc, tables)
        crc = _crc(payloads, start, end, crc, tables) ^ ones
        at += head
        for place in range(_U(4)):
            values[at + place] = np.uint8(crc >> (_U(24) - _U(8) * place) & _U(255))
        at += _U(4)
        for place in range(end - start):
            values[at + place] = payloads[start + place]
        at += end - start
        key_start, start = key_end, end


@njit(cache=True, nogil=True)
def _checksums(values: Any, ends: Any, head: Any, keys: Any, key_ends: Any, found: Any, tables: Any) -> None:
    start, key_start, ones = _U(0), _U(0), _U(0xFFFFFFFF)
    for row in range(len(ends)):
        key_end, end, behind = _U(key_ends[row]), _U(ends[row]), start + _U(head)
        crc = _crc(values, start, behind, ones, tables)
        crc = _crc(keys, key_start, key_end, crc, tables)
        found[row] = np.uint32(_crc(values, behind + _U(4), end, crc, tables) ^ ones)
        start, key_start = end, key_end
