"""Small worlds that several tests share."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from conf import contract
from conf.ids import IdKind
from models.training.train import Embeddings

EPOCH = 1_700_000_000_000_000


def ids_of(numbers: Any, kind: IdKind) -> pa.Array:
    """Ids whose order is that of the numbers."""
    return pa.array([int(n) if kind == "int64" else f"id{int(n):05d}" for n in numbers], contract.sources(kind)[0].type)


def interactions_of(rows: list[tuple[int, int, float]], kind: IdKind = "int64") -> pa.Table:
    """contract.interactions of (user, source, weight)."""
    users, sources, weights = zip(*rows, strict=True) if rows else ((), (), ())
    columns = [ids_of(users, kind), ids_of(sources, kind), list(weights), [EPOCH] * len(rows)]
    return pa.Table.from_arrays(
        [
            pa.array(c, t) if isinstance(c, list) else c
            for c, t in zip(columns, contract.interactions(kind).types, strict=True)
        ],
        schema=contract.interactions(kind),
    )


def written(folder: Path, *parts: pa.Table) -> ds.Dataset:
    """The parts as the files of one Parquet dataset, named as Spark names them."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, part in enumerate(parts):
        pq.write_table(part, folder / f"part-{number:05d}.parquet")
    return ds.dataset(folder, format="parquet")


def planted(users: int, sources: int, seed: int, tastes: int = 4) -> tuple[csr_matrix, NDArray[np.bool_]]:
    """Interactions (users, sources) of users who like one group of sources each, and for each pair whether it fits."""
    draw = np.random.default_rng(seed)
    fits = draw.integers(tastes, size=users)[:, None] == np.arange(sources)[None, :] % tastes
    seen = draw.random((users, sources)) < np.where(fits, 0.4, 0.01)
    return csr_matrix(seen.astype(np.float32)), fits


def normal_equations(confidences: NDArray[Any], factors: NDArray[Any], regularization: float) -> NDArray[np.float64]:
    """The vector of one row of confidences (n,), 0 where there is none, given factors (n, d): by the definition."""
    wanted, wide = (confidences > 0).astype(float), factors.astype(float)
    certainty = np.diag(np.where(confidences > 0, confidences, 1).astype(float))
    left = wide.T @ certainty @ wide + regularization * np.eye(factors.shape[1])
    return np.linalg.solve(left, wide.T @ certainty @ wanted)


def factor_tables(embeddings: Embeddings) -> tuple[ds.Dataset, ds.Dataset]:
    """Its contract.user_factors and contract.source_factors, as a later run reads them."""
    batches = (embeddings.user_batches(), embeddings.source_batches())
    users, sources = (ds.dataset(pa.Table.from_batches(list(side))) for side in batches)
    return users, sources
