"""Estimates the memory of a training before it starts, and chooses the trainer that fits."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from conf.base import format_bytes
from conf.contract import MAX_ID_BYTES
from conf.settings import TrainSettings
from models.errors import TrainMemoryError

_PER_PAIR = 2 * (4 + 4)
"""float32 and int32 of the matrix, once by user and once by source: `implicit` solves on both."""

_READING = 192 * 2**20
"""Bytes of Parquet batches in flight while the matrix is filled, and of the trainer's libraries."""

MAX_PAIRS = 2**31 - 1
"""Interactions that the trainer of one machine can address."""


@dataclass(frozen=True)
class Sides:
    """Numbers of users and sources in the interactions, and the size of their ids."""

    users: int
    sources: int
    id_bytes: int = 8
    """Bytes of an id; of string ids, the longest."""


@dataclass(frozen=True)
class Choice:
    """The trainer, and a line for the log that explains the choice."""

    algorithm: Literal["als", "als_spark"]
    reason: str


def estimate(n_interactions: int, n_users: int, n_sources: int, factors: int, *, id_bytes: int = 8) -> int:
    """Returns the peak bytes of a training outside the JVM; `id_bytes`: bytes of an id (string ids: of the longest).

    Per interaction 16 bytes; per user and per source the float32 factors, one row pointer, and the id twice (once while
    the map is sorted); one byte per factor of the larger side for the final check for NaN.
    """
    rows = n_users + n_sources
    check = factors * max(n_users, n_sources)
    return _READING + _PER_PAIR * n_interactions + rows * (4 * factors + 4 + 2 * id_bytes) + check


def check_memory(
    settings: TrainSettings, n_interactions: int, n_users: int, n_sources: int, *, id_bytes: int = 8
) -> int:
    """Returns the estimate in bytes. Raises TrainMemoryError when it exceeds `train.max_memory`."""
    needed = estimate(n_interactions, n_users, n_sources, settings.factors, id_bytes=id_bytes)
    if needed > settings.max_memory:
        size = f"{n_interactions:,} interactions of {n_users:,} users with {n_sources:,} sources"
        raise TrainMemoryError(needed, settings.max_memory, f"{size} at {settings.factors} factors")
    return needed


def choose_trainer(settings: TrainSettings, n_interactions: int, sides: Callable[[], Sides]) -> Choice:
    """Returns the algorithm in the settings; for `auto`, `als` if its estimate fits into `train.max_memory`.

    `sides` reads the data, so it is called only if the number of interactions alone does not decide.
    """
    if settings.algorithm != "auto":
        return Choice(settings.algorithm, f"{settings.algorithm}, as train.algorithm says")
    if n_interactions > MAX_PAIRS:
        return Choice("als_spark", f"{n_interactions:,} interactions pass the limit {MAX_PAIRS:,} of als: als_spark")
    none, all_differ = Sides(0, 0), Sides(n_interactions, n_interactions, MAX_ID_BYTES)
    least, most = (_needed(settings, n_interactions, bound) for bound in (none, all_differ))
    if most <= settings.max_memory:
        return _chosen(settings, most, "at most")
    if least > settings.max_memory:
        return _chosen(settings, least, "at least")
    return _chosen(settings, _needed(settings, n_interactions, sides()), "about")


def _needed(settings: TrainSettings, n_interactions: int, sides: Sides) -> int:
    return estimate(n_interactions, sides.users, sides.sources, settings.factors, id_bytes=sides.id_bytes)


def _chosen(settings: TrainSettings, needed: int, how: str) -> Choice:
    estimated = f"training needs {how} {format_bytes(needed)} of train.max_memory {format_bytes(settings.max_memory)}"
    if needed <= settings.max_memory:
        return Choice("als", f"{estimated}: als on this machine")
    return Choice("als_spark", f"{estimated}: als_spark on the cluster")
