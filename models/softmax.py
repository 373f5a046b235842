"""ALS, then a few passes that raise each user's sources above others: what is best where tastes are many and narrow.

The loss of an interaction is −log of its share of exp(κ · score) among the sources of its batch, each source's term
divided by its popularity, since batches hold popular ones more often (sampled softmax; Bengio, Senécal 2008). Every
interaction counts alike. Steps are of Adagrad, with one sum of squares for each vector (Duchi, Hazan, Singer 2011).
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from conf.settings import TrainSettings
from models.als import Factors, ImplicitAls, Trainer, check_finite
from models.confidences import activity
from models.ranking.compiled import compiled, reordered

_BATCH = 1024


@dataclass(frozen=True)
class SoftmaxRefined:
    """The factors of `first`, refined by softmax_passes passes over the interactions in random order."""

    first: Trainer = field(default_factory=ImplicitAls)

    def fit(self, confidences: csr_matrix, settings: TrainSettings) -> tuple[Factors, Factors]:
        """See Trainer; one thread, so the same seed and the same factors to begin with give the same bits."""
        users, sources = self.first.fit(confidences, settings)
        _balance(users, sources)
        with threadpool_limits(1, "blas"):
            _refine(_Side.of(users), _Side.of(sources), confidences, settings)
        for factors in (users, sources):
            check_finite(factors, settings)
        return users, sources


@dataclass(frozen=True, eq=False)
class _Side:
    """Vectors (n, d), and for each the mean squares of its gradients so far, added up."""

    vectors: Factors
    squares: NDArray[np.float32]

    @classmethod
    def of(cls, vectors: Factors) -> "_Side":
        return cls(vectors, np.zeros(len(vectors), np.float32))

    def step(self, rows: NDArray[Any], gradients: Factors, rate: float) -> None:
        """One step against the gradients (batch, d) of the vectors in `rows`, in which a row may come twice."""
        order = np.argsort(rows, kind="stable")
        total = np.zeros(self.vectors.shape[1], np.float32)
        _step(self.vectors, self.squares, rows, order, gradients, np.float32(rate), total)


def _balance(users: Factors, sources: Factors) -> None:
    """Makes the vectors of both sides equally long on average, in place; no score changes."""
    lengths = [
        float(np.sqrt(np.einsum("ij,ij->", side, side, dtype=np.float64) / len(side))) for side in (users, sources)
    ]
    if all(lengths):
        users *= np.float32(np.sqrt(lengths[1] / lengths[0]))
        sources *= np.float32(np.sqrt(lengths[0] / lengths[1]))


def _refine(users: _Side, sources: _Side, matrix: csr_matrix, settings: TrainSettings) -> None:
    log_popularity = np.log(np.maximum(activity(matrix)[1], 1)).astype(np.float32)
    order = np.arange(matrix.nnz, dtype=np.int32)
    batches = -(-matrix.nnz // _BATCH) * settings.softmax_passes
    done, generator = 0, np.random.default_rng(settings.seed)
    for _ in range(settings.softmax_passes):
        generator.shuffle(order)
        for start in range(0, len(order), _BATCH):
            pairs = order[start : start + _BATCH]
            user, source = np.searchsorted(matrix.indptr, pairs, side="right") - 1, matrix.indices[pairs]
            of_users, of_sources = users.vectors[user], sources.vectors[source]
            scores = of_users @ of_sources.T
            _to_gradient(scores, source, log_popularity[source], np.float32(settings.softmax_sharpness))
            rate = settings.softmax_rate * (1 - done / batches)
            users.step(user, scores @ of_sources, rate)
            sources.step(source, scores.T @ of_users, rate)
            done += 1


@reordered
def _to_gradient(
    scores: NDArray[np.float32], source: NDArray[np.int32], log_popularity: NDArray[np.float32], sharpness: np.float32
) -> None:
    """Scores (batch, batch) of each pair's user with each pair's source → the loss' gradient by them, in place."""
    batch, nothing = len(source), np.float32(-1e30)
    for row in range(batch):
        largest = nothing
        for column in range(batch):
            again = column != row and source[column] == source[row]  # the pair's own source is no rival of itself
            logit = nothing if again else sharpness * scores[row, column] - log_popularity[column]
            scores[row, column] = logit
            largest = max(largest, logit)
        total = np.float32(0)
        for column in range(batch):
            share = np.exp(scores[row, column] - largest)
            scores[row, column] = share
            total += share
        for column in range(batch):
            scores[row, column] *= sharpness / total
        scores[row, row] -= sharpness


@compiled
def _step(
    vectors: Factors,
    squares: NDArray[np.float32],
    rows: NDArray[np.int64],
    order: NDArray[np.int64],
    gradients: Factors,
    rate: np.float32,
    total: NDArray[np.float32],
) -> None:
    """Adagrad with one accumulator per vector; `total` (d,) is scratch."""
    at, dimensions = 0, vectors.shape[1]
    while at < len(order):
        row = rows[order[at]]
        for c in range(dimensions):
            total[c] = 0
        while at < len(order) and rows[order[at]] == row:
            for c in range(dimensions):
                total[c] += gradients[order[at], c]
            at += 1
        square = np.float32(0)
        for c in range(dimensions):
            square += total[c] * total[c]
        squares[row] += square / np.float32(dimensions)
        if squares[row] > 0:
            pace = rate / np.sqrt(squares[row])
            for c in range(dimensions):
                vectors[row, c] -= pace * total[c]
