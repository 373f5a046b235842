"""Interactions → embeddings, in one process, without Spark and without pandas."""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import pyarrow as pa
import pyarrow.dataset as ds

from conf import contract
from conf.ids import IdKind
from conf.training import TrainSettings
from models.arrays.ids import IdMap
from models.errors import BadInteractions
from models.training.confidences import Constants
from models.training.factor_table import factor_batches
from models.training.matrix import fill_matrix, scan_ids
from models.training.memory import MAX_PAIRS, DataSize
from models.training.trainer import Factors, OnIteration, TrainingData
from models.training.trainers import check_memory, trainer_of
from models.training.warm import InitialFactors, WarmStart

Watch = Callable[[TrainingData], OnIteration]
"""Called before a training with its data, which it may only read; returns its OnIteration."""


@dataclass(frozen=True)
class TrainStats:
    """Sizes, start, seconds and constants of a training."""

    interactions: int
    users: int
    sources: int
    estimated_bytes: int
    read_seconds: float
    fit_seconds: float
    """Seconds of the confidences, the start, the iterations and their callbacks."""
    started: Literal["cold", "warm"]
    cold_reason: str | None
    """Why earlier factors were not used; None if they were, or if there were none."""
    kept_users: int
    new_users: int
    gone_users: int
    kept_sources: int
    new_sources: int
    gone_sources: int
    iterations: int
    iteration_seconds: tuple[float, ...]
    """Seconds of each iteration without callbacks; empty if the trainer does not report them."""
    constants: Constants | None
    """What `models.training.fold_in` needs to compute vectors of later users in this model; None: it cannot."""

    def to_json(self) -> dict[str, Any]:
        """Returns the fields by name."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Factors float32 (rows, d) of the users and the sources, in the order of the id maps."""

    users: IdMap
    sources: IdMap
    user_factors: Factors
    source_factors: Factors
    stats: TrainStats

    def user_batches(self) -> Iterator[pa.RecordBatch]:
        """Yields rows of contract.user_factors, in batches of some megabytes."""
        return factor_batches(self.users, self.user_factors, contract.user_factors(self.users.kind))

    def source_batches(self) -> Iterator[pa.RecordBatch]:
        """Yields rows of contract.source_factors, in batches of some megabytes."""
        return factor_batches(self.sources, self.source_factors, contract.source_factors(self.sources.kind))


def train(
    interactions: ds.Dataset,
    settings: TrainSettings,
    ids: IdKind,
    *,
    start: WarmStart | None = None,
    watch: Watch | None = None,
) -> Embeddings:
    """Trains on contract.interactions (sorted by user_id, source_id) on this machine.

    The trainer of `settings.algorithm` continues from `start` if it can and if that fits (see the stats). Raises
    TrainMemoryError before anything large is allocated, BadInteractions, BadIds, TrainError, and what `watch`
    raises.
    """
    began = time.perf_counter()
    pairs = _count(interactions)
    check_memory(settings, DataSize(pairs, 0, 0))  # hopeless cases are refused before a row is read
    users, sources = scan_ids(interactions, ids)
    widest = max(users.values.dtype.itemsize, sources.values.dtype.itemsize)
    needed = check_memory(settings, DataSize(pairs, len(users), len(sources), widest))
    data = TrainingData(users, sources, fill_matrix(interactions, users, sources))
    read = time.perf_counter()
    seconds: list[float] = []
    on_iteration = _timed(seconds, watch(data) if watch else None)
    trained = trainer_of(settings).fit(data, settings, start, on_iteration)
    unused = "the trainer cannot start from earlier factors" if start else None
    initial = trained.initial or InitialFactors.cold(users, sources, unused)
    stats = TrainStats(
        pairs,
        len(users),
        len(sources),
        needed,
        read - began,
        time.perf_counter() - read,
        "warm" if initial.factors else "cold",
        initial.cold_reason,
        **asdict(initial.turnover),
        iterations=trained.iterations,
        iteration_seconds=tuple(seconds),
        constants=trained.constants,
    )
    return Embeddings(users, sources, trained.user_factors, trained.source_factors, stats)


def _timed(seconds: list[float], watcher: OnIteration | None) -> OnIteration:
    def note(iteration: int, took: float, user_factors: Factors, source_factors: Factors) -> None:
        seconds.append(took)
        if watcher:
            watcher(iteration, took, user_factors, source_factors)

    return note


def _count(interactions: ds.Dataset) -> int:
    """Returns the number of rows in the Parquet footers. Raises BadInteractions for none or too many."""
    pairs = interactions.count_rows()
    if not pairs:
        raise BadInteractions("there are no interactions to train on; check the windows and the event weights")
    if pairs > MAX_PAIRS:
        raise BadInteractions(
            f"{pairs:,} interactions pass the trainer's 32-bit limit {MAX_PAIRS:,}; set train.algorithm: auto, which "
            "then trains on the cluster, or shorten windows"
        )
    return int(pairs)
