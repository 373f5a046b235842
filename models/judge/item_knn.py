"""Cosine item-kNN, the baseline beside ours: sources that have many users in common with those of a user.

Similarity |U_i ∩ U_j| / √(|U_i|·|U_j|) of the sets of users; a source's score is the sum over the user's sources that
have it among their nearest neighbours (Deshpande, Karypis 2004). Weights are ignored.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from conf.base import format_bytes
from conf.ids import IdKind
from conf.settings import JudgeSettings
from conf.training import TrainSettings
from models.arrays.arrow import ListColumn, lengths_of
from models.arrays.ids import IdMap
from models.arrays.mapped import map_arrays, save_arrays
from models.errors import KnnTooLarge
from models.ranking import TopN
from models.ranking.compiled import compiled
from models.training.matrix import fill_matrix, scan_ids

_ARRAYS = ("indptr", "indices", "similarities")
_PER_PAIR, _PER_NEIGHBOUR = 8 + 24, 32
"""Bytes: the matrix and its normalised form by user and by source; neighbours as triples and as rows."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest eligible neighbours of each source; a source is its row in `ids`.

    indptr int64 (sources + 1,), indices int32 and similarities float32 (pairs,): CSR, without the source itself.
    """

    ids: IdMap
    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    similarities: NDArray[np.float32]
    share_of_users: float = 1.0
    """Share of the users that the similarities are computed from."""

    @classmethod
    def build(
        cls, interactions: ds.Dataset, sources: pa.Table, settings: JudgeSettings, train: TrainSettings, ids: IdKind
    ) -> "Neighbours":
        """Computes them from contract.interactions; eligible are those of contract.train_sources.

        The work is Σ (interactions of a user)² products; where that exceeds `knn_products`, users are sampled. Raises
        KnnTooLarge before it needs more than `train.max_memory`.
        """
        from implicit._nearest_neighbours import all_pairs_knn  # a second to import

        users, known = scan_ids(interactions, ids)
        _check_memory(interactions.count_rows(), len(known), settings.knn_neighbours, train.max_memory)
        matrix = fill_matrix(interactions, users, known)
        matrix, share = _sampled(matrix, settings)
        neighbours = min(settings.knn_neighbours + 1, len(known))  # each one is its own nearest neighbour
        found = all_pairs_knn(_normalised(matrix), neighbours, num_threads=train.threads, show_progress=False)
        eligible = known.rows(sources.filter(pc.field("eligible"))["source_id"])
        return cls(known, *_useful(found, eligible[eligible >= 0]), share)

    def save(self, folder: str | Path) -> None:
        """Writes the arrays as .npy files into `folder`, which is created if it does not exist."""
        save_arrays(folder, {"ids": self.ids.values, **{name: getattr(self, name) for name in _ARRAYS}})

    @classmethod
    def load(cls, folder: str | Path) -> "Neighbours":
        """Returns the neighbours in `folder`, memory-mapped read-only."""
        ids, indptr, indices, similarities = map_arrays(folder, ("ids", *_ARRAYS))
        return cls(IdMap(ids), indptr, indices, similarities)

    def best(self, histories: ListColumn, excluded: ListColumn, n: int) -> TopN:
        """Returns the n best sources (rows of `ids`) for these histories, without the excluded; padded with −1."""
        best = TopN.empty(len(histories), n)
        sums, touched = np.zeros(len(self.ids), np.float64), np.empty(len(self.ids), np.int32)
        _rank(
            *self._rows(histories),
            *self._rows(excluded),
            self.indptr,
            self.indices,
            self.similarities,
            sums,
            touched,
            best.ids,
            best.scores,
        )
        return best

    def _rows(self, lists: ListColumn) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Returns where each list starts and ends, and its rows in ascending order, which fixes the order of sums."""
        rows = self.ids.rows(lists.flatten())
        users = np.repeat(np.arange(len(lists)), lengths_of(lists))[rows >= 0]
        rows = rows[rows >= 0]
        order = np.lexsort((rows, users))
        return np.searchsorted(users, np.arange(len(lists) + 1)), rows[order]


@lru_cache(maxsize=1)
def load_neighbours(folder: str) -> Neighbours:
    """Returns the neighbours in `folder`, loaded once per worker process."""
    return Neighbours.load(folder)


def _check_memory(pairs: int, sources: int, neighbours: int, limit: int) -> None:
    needed = _PER_PAIR * pairs + _PER_NEIGHBOUR * neighbours * sources
    if needed > limit:
        raise KnnTooLarge(
            f"item-kNN of {sources:,} sources and {pairs:,} interactions needs about {format_bytes(needed)}, "
            f"train.max_memory allows {format_bytes(limit)}; raise it, or lower judge.knn_neighbours"
        )


def _sampled(matrix: csr_matrix, settings: JudgeSettings) -> tuple[csr_matrix, float]:
    """Returns the matrix, or a sample of its users whose products fit, and the share of users in it."""
    products = int((np.diff(matrix.indptr).astype(np.float64) ** 2).sum())
    if products <= settings.knn_products:
        return matrix, 1.0
    share = settings.knn_products / products
    chosen = np.random.default_rng(settings.seed).random(matrix.shape[0]) < share
    return matrix[chosen], share


def _normalised(matrix: csr_matrix) -> csr_matrix:
    """Returns the pattern of the matrix, each entry divided by the root of its column's number of users."""
    users = np.bincount(matrix.indices, minlength=matrix.shape[1])
    data = (1 / np.sqrt(np.maximum(users, 1)))[matrix.indices]
    return csr_matrix((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def _useful(
    found: Any, eligible: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    """Returns the pairs as CSR, without a source paired with itself or with one that is not eligible."""
    wanted = np.zeros(found.shape[1], bool)
    wanted[eligible] = True
    kept = wanted[found.col] & (found.row != found.col) & (found.data > 0)
    rows = csr_matrix((found.data[kept].astype(np.float32), (found.row[kept], found.col[kept])), shape=found.shape)
    rows.sort_indices()
    return rows.indptr.astype(np.int64), rows.indices.astype(np.int32), rows.data


@compiled
def _rank(
    history_at: NDArray[np.int64],
    histories: NDArray[np.int32],
    excluded_at: NDArray[np.int64],
    excluded: NDArray[np.int32],
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    similarities: NDArray[np.float32],
    sums: NDArray[np.float64],
    touched: NDArray[np.int32],
    ids: NDArray[np.int32],
    scores: NDArray[np.float32],
) -> None:
    """Fills ids and scores (users, n), best first, ties by smaller row; sums are zero again afterwards."""
    n = ids.shape[1]
    for u in range(ids.shape[0]):
        count = 0
        for h in range(history_at[u], history_at[u + 1]):
            for at in range(indptr[histories[h]], indptr[histories[h] + 1]):
                source = indices[at]
                if sums[source] == 0:
                    touched[count] = source
                    count += 1
                sums[source] += similarities[at]
        for b in range(excluded_at[u], excluded_at[u + 1]):
            sums[excluded[b]] = 0
        for t in range(count):
            source = touched[t]
            score = np.float32(sums[source])
            sums[source] = 0
            place = n
            while (
                place > 0
                and score > 0
                and (
                    ids[u, place - 1] < 0
                    or score > scores[u, place - 1]
                    or (score == scores[u, place - 1] and source < ids[u, place - 1])
                )
            ):
                place -= 1
                if place < n - 1:
                    ids[u, place + 1], scores[u, place + 1] = ids[u, place], scores[u, place]
            if place < n and score > 0:
                ids[u, place], scores[u, place] = source, score
