"""Interactions → embeddings, in one process, without Spark and without pandas."""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from conf import contract
from conf.contract import IdKind
from conf.settings import TrainSettings
from models.als import Factors, ImplicitAls, Trainer
from models.arrow import column_of, lists_of
from models.confidences import confidences_of
from models.errors import BadInteractions
from models.ids import IdMap
from models.matrix import fill_matrix, scan_ids
from models.memory import check_memory

_BATCH_BYTES = 8 * 2**20
_MAX_PAIRS = 2**31 - 1


@dataclass(frozen=True)
class TrainStats:
    """What a training read and took."""

    interactions: int
    users: int
    sources: int
    estimated_bytes: int
    read_seconds: float
    fit_seconds: float

    def to_json(self) -> dict[str, int | float]:
        """The fields by name."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Factors float32 (rows, d) of the users and the sources, whose ids are the rows of the maps."""

    users: IdMap
    sources: IdMap
    user_factors: Factors
    source_factors: Factors
    stats: TrainStats

    def user_batches(self) -> Iterator[pa.RecordBatch]:
        """Rows of contract.user_factors, in batches of some megabytes."""
        return _batches(self.users, self.user_factors, contract.user_factors(self.users.kind))

    def source_batches(self) -> Iterator[pa.RecordBatch]:
        """Rows of contract.source_factors, in batches of some megabytes."""
        return _batches(self.sources, self.source_factors, contract.source_factors(self.sources.kind))


def train(interactions: ds.Dataset, settings: TrainSettings, ids: IdKind, trainer: Trainer | None = None) -> Embeddings:
    """Embeddings of interactions (contract.interactions, sorted by user_id, source_id) by `trainer`, else ALS.

    Raises TrainMemoryError before anything large is allocated, BadInteractions, BadIds and TrainError.
    """
    started = time.perf_counter()
    pairs = _count(interactions)
    check_memory(settings, pairs, 0, 0)  # hopeless cases are refused before a row is read
    users, sources = scan_ids(interactions, ids)
    widest = max(users.values.dtype.itemsize, sources.values.dtype.itemsize)
    needed = check_memory(settings, pairs, len(users), len(sources), id_bytes=widest)
    confidences = confidences_of(fill_matrix(interactions, users, sources), settings)
    read = time.perf_counter()
    user_factors, source_factors = (trainer or ImplicitAls()).fit(confidences, settings)
    stats = TrainStats(pairs, len(users), len(sources), needed, read - started, time.perf_counter() - read)
    return Embeddings(users, sources, user_factors, source_factors, stats)


def _count(interactions: ds.Dataset) -> int:
    """Rows according to the Parquet footers."""
    pairs = interactions.count_rows()
    if not pairs:
        raise BadInteractions("there are no interactions to train on; check the windows and the event weights")
    if pairs > _MAX_PAIRS:
        raise BadInteractions(f"{pairs:,} interactions pass the trainer's 32-bit limit {_MAX_PAIRS:,}; shorten windows")
    return int(pairs)


def _batches(ids: IdMap, factors: Factors, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    dimensions = factors.shape[1]
    step = max(1, _BATCH_BYTES // (4 * dimensions))
    for start in range(0, len(ids), step):
        block = factors[start : start + step]
        column = lists_of(np.full(len(block), dimensions), column_of(block.ravel()))
        yield pa.RecordBatch.from_arrays([ids.to_arrow(slice(start, start + step)), column], schema=schema)
