"""How much memory training will take, known before it is taken."""

from conf.settings import TrainSettings
from models.errors import TrainMemoryError

_PER_PAIR = 2 * (4 + 4)
"""float32 and int32 of the matrix, once by user and once by source: `implicit` solves on both."""

_READING = 192 * 2**20
"""Parquet batches in flight while the matrix is filled, and the trainer's libraries."""


def estimate(n_interactions: int, n_users: int, n_sources: int, factors: int, *, id_bytes: int = 8) -> int:
    """Peak bytes of a training outside the JVM, `id_bytes` being the bytes of an id (string ids: of the longest).

    Per interaction 16 bytes; per user and per source the float32 factors, one row pointer, and the id twice (once while
    the map is sorted); one byte per factor of the larger side for the final check for NaN.
    """
    rows = n_users + n_sources
    check = factors * max(n_users, n_sources)
    return _READING + _PER_PAIR * n_interactions + rows * (4 * factors + 4 + 2 * id_bytes) + check


def check_memory(
    settings: TrainSettings, n_interactions: int, n_users: int, n_sources: int, *, id_bytes: int = 8
) -> int:
    """The estimate in bytes; raises TrainMemoryError when it passes `train.max_memory`."""
    needed = estimate(n_interactions, n_users, n_sources, settings.factors, id_bytes=id_bytes)
    if needed > settings.max_memory:
        size = f"{n_interactions:,} interactions of {n_users:,} users with {n_sources:,} sources"
        raise TrainMemoryError(needed, settings.max_memory, f"{size} at {settings.factors} factors")
    return needed
