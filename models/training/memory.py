"""Estimates the memory of a training before it starts."""

from dataclasses import dataclass

_PER_PAIR = 2 * (4 + 4)
"""float32 and int32 of the matrix, once by user and once by source: `implicit` solves on both."""

_READING = 192 * 2**20
"""Bytes of Parquet batches in flight while the matrix is filled, and of the trainer's libraries."""

MAX_PAIRS = 2**31 - 1
"""Interactions that the trainer of one machine can address."""


@dataclass(frozen=True)
class DataSize:
    """Numbers of interactions, users and sources, and the size of the ids."""

    interactions: int
    users: int
    sources: int
    id_bytes: int = 8
    """Bytes of an id; of string ids, the longest."""


def estimate(size: DataSize, factors: int) -> int:
    """Returns the peak bytes of a training with this number of dimensions, outside the JVM.

    Per interaction 16 bytes; per user and per source the float32 factors, one row pointer, and the id twice (once while
    the map is sorted); one byte per factor of the larger side for the final check for NaN.
    """
    rows = size.users + size.sources
    check = factors * max(size.users, size.sources)
    return _READING + _PER_PAIR * size.interactions + rows * (4 * factors + 4 + 2 * size.id_bytes) + check
