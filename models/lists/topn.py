"""Makes a list for every user in Spark partitions: factors and exclusions stream by, candidates are memory-mapped."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as sf
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from conf import contract
from conf.ids import IdKind
from conf.settings import ListSettings
from models.arrays.arrow import Column, ListColumn, column_of, factor_matrix, lengths_of, list_column
from models.arrays.ids import IdMap
from models.lists.candidates import Candidates
from models.lists.caps import best_lists
from models.lists.fallback import Fallback
from models.ranking import TopN

Folder = Callable[[], str]
"""Returns the folder of the saved candidates on the worker's machine."""


def precompute_lists(
    user_factors: DataFrame,
    excluded: DataFrame,
    users: DataFrame | None,
    folder: Folder,
    fallback: Fallback,
    settings: ListSettings,
    block: int,
    ids: IdKind,
) -> DataFrame:
    """Returns contract.lists of every user with factors or exclusions, or only of `users` (user_id).

    user_factors as in the contract; excluded: rows of `excluded_sources` for these users; `folder` is called on the
    workers and names the folder of `Candidates.save`; `block` users are ranked at once. Users whose factors are missing
    or all zero get the fallback list without their exclusions (personal = false). The rows have no order.
    """
    served = user_factors if users is None else user_factors.join(users, "user_id", "left_semi")
    rows = served.join(excluded, "user_id", "full_outer").select("user_id", "factors", "excluded")
    return rows.mapInArrow(ListMaker(folder, fallback, settings, block, ids), list_schema(ids))


def excluded_sources(exclusions: DataFrame, users: DataFrame | None) -> DataFrame:
    """Returns a row per user (of `users`) with exclusions: user_id, excluded (source ids, possibly repeated)."""
    served = exclusions if users is None else exclusions.join(users, "user_id", "left_semi")
    return served.groupBy("user_id").agg(sf.collect_list("source_id").alias("excluded"))


def list_schema(ids: IdKind) -> StructType:
    """Returns contract.lists as a Spark schema."""
    return from_arrow_schema(contract.lists(ids))


@lru_cache(maxsize=1)
def load_candidates(folder: str) -> Candidates:
    """Returns the candidates of a run, loaded once per worker process."""
    return Candidates.load(folder)


@dataclass(frozen=True)
class ListMaker:
    """Maps (user_id, factors, excluded) to contract.lists, a block of users at a time."""

    folder: Folder
    fallback: Fallback
    settings: ListSettings
    block: int
    ids: IdKind

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        candidates = load_candidates(self.folder())
        with threadpool_limits(1, "blas"):  # Spark runs one worker per core
            for batch in batches:
                for start in range(0, batch.num_rows, self.block):
                    rows = batch.slice(start, self.block)
                    yield from serve_users(rows, candidates, self.fallback, self.settings, self.ids)


def serve_users(
    rows: pa.RecordBatch, candidates: Candidates, fallback: Fallback, settings: ListSettings, ids: IdKind
) -> Iterator[pa.RecordBatch]:
    """Yields contract.lists, in another order, for rows of user_id, factors (may be null), excluded (source ids)."""
    known = rows.filter(rows["factors"].is_valid())
    factors = factor_matrix(known["factors"], candidates.index.dimensions)
    moved = (factors != 0).any(axis=1)
    personal = known.filter(column_of(moved))
    if personal.num_rows:
        best = best_lists(candidates, factors[moved], exclusion_matrix(personal["excluded"], candidates), settings)
        yield list_batch(personal["user_id"], *list_columns(best, candidates.ids), ids, personal=True)
    for others in (rows.filter(rows["factors"].is_null()), known.filter(column_of(~moved))):
        if others.num_rows:
            popular = fallback.without(others["excluded"], settings.n, ids)
            yield list_batch(others["user_id"], *popular, ids, personal=False)


def exclusion_matrix(excluded: ListColumn, candidates: Candidates) -> csr_matrix:
    """Returns the excluded sources as entries (users, candidates); sources outside the candidates need none."""
    rows = candidates.ids.rows(excluded.flatten())
    users = np.repeat(np.arange(len(excluded)), lengths_of(excluded))
    users, rows = users[rows >= 0], rows[rows >= 0]
    indptr = np.zeros(len(excluded) + 1, np.int64)
    np.cumsum(np.bincount(users, minlength=len(excluded)), out=indptr[1:])
    return csr_matrix((np.ones(len(rows), np.int8), rows, indptr), shape=(len(excluded), len(candidates)))


def list_columns(best: TopN, sources: IdMap) -> tuple[ListColumn, ListColumn]:
    """Returns source_ids and scores of contract.lists for a ranking whose ids are rows of `sources`."""
    filled = best.ids >= 0
    lengths = filled.sum(axis=1)
    return (
        list_column(lengths, sources.to_arrow(best.ids[filled])),
        list_column(lengths, column_of(best.scores[filled])),
    )


def list_batch(
    users: Column, sources: ListColumn, scores: ListColumn, ids: IdKind, *, personal: bool
) -> pa.RecordBatch:
    """Returns rows of contract.lists with the same value of `personal`."""
    flags = column_of(np.full(len(users), personal))
    return pa.RecordBatch.from_arrays([users, sources, scores, flags], schema=contract.lists(ids))
