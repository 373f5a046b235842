"""Interactions → embeddings, in one process, without Spark and without pandas."""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import pyarrow as pa
import pyarrow.dataset as ds
from scipy.sparse import csr_matrix

from conf import contract
from conf.contract import IdKind
from conf.settings import TrainSettings
from models.arrays.ids import IdMap
from models.errors import BadInteractions
from models.training.als import Factors, ImplicitAls, OnIteration, Trainer
from models.training.confidences import Constants, fixed_confidences
from models.training.factor_table import factor_batches
from models.training.matrix import fill_matrix, scan_ids
from models.training.memory import MAX_PAIRS, check_memory
from models.training.warm import Beginning, Start, begin

Watch = Callable[[IdMap, IdMap, csr_matrix], OnIteration]
"""Called before a training with its users, sources and read-only matrix (users, sources); returns its OnIteration."""


@dataclass(frozen=True)
class TrainStats:
    """Sizes, start, seconds and constants of a training."""

    interactions: int
    users: int
    sources: int
    estimated_bytes: int
    read_seconds: float
    fit_seconds: float
    """Seconds of the start, the iterations and their callbacks."""
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
    constants: Constants
    """What `models.training.fold_in` needs to compute vectors of later users in this model."""

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
    trainer: Trainer | None = None,
    *,
    start: Start | None = None,
    watch: Watch | None = None,
) -> Embeddings:
    """Trains on contract.interactions (sorted by user_id, source_id) with `trainer`, by default ImplicitAls.

    ImplicitAls continues from `start` if that fits (see the stats) and calls `watch`; other trainers ignore both.
    Raises TrainMemoryError before anything large is allocated, BadInteractions, BadIds, TrainError, and what `watch`
    raises.
    """
    began = time.perf_counter()
    pairs = _count(interactions)
    check_memory(settings, pairs, 0, 0)  # hopeless cases are refused before a row is read
    users, sources = scan_ids(interactions, ids)
    widest = max(users.values.dtype.itemsize, sources.values.dtype.itemsize)
    needed = check_memory(settings, pairs, len(users), len(sources), id_bytes=widest)
    confidences, constants = fixed_confidences(fill_matrix(interactions, users, sources), settings)
    read = time.perf_counter()
    seconds: list[float] = []
    if trainer is None:
        watcher = watch(users, sources, confidences) if watch else None
        begun = begin(start, users, sources, confidences, constants.regularization, settings)
        trainer = ImplicitAls(_noting(seconds, watcher), begun.factors)
    else:
        begun = Beginning.cold(users, sources, "the trainer takes no former factors" if start else None)
    user_factors, source_factors = trainer.fit(confidences, settings)
    stats = TrainStats(
        pairs,
        len(users),
        len(sources),
        needed,
        read - began,
        time.perf_counter() - read,
        "cold" if begun.factors is None else "warm",
        begun.cold_reason,
        **asdict(begun.turnover),
        iterations=settings.warm_iterations if begun.factors else settings.iterations,
        iteration_seconds=tuple(seconds),
        constants=constants,
    )
    return Embeddings(users, sources, user_factors, source_factors, stats)


def _noting(seconds: list[float], watcher: OnIteration | None) -> OnIteration:
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
