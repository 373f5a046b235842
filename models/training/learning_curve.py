"""Measures the factors after each iteration, on a sample of the hold-out's users."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow.dataset as ds
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from models.arrays.ids import IdMap
from models.arrays.streamed import streamed
from models.metrics import score_hits
from models.training.trainer import Factors, OnIteration, TrainingData

_ROWS = 2**17
_SCORES = 2**22
"""Scores held at once."""


@dataclass(frozen=True)
class Point:
    """NDCG@k after an iteration, and the seconds of that iteration."""

    iteration: int
    seconds: float
    ndcg: float


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """NDCG@k of the best sources by score for at most `sample` trained hold-out users, without trained pairs.

    No rules, eligibility or fallback apply: it shows how training goes, not how good the lists are. Users are drawn by
    `seed`. `holdout` is contract.holdout. There are no points if the hold-out has no trained user.
    """

    holdout: ds.Dataset
    k: int
    sample: int = 500
    seed: int = 7
    points: list[Point] = field(default_factory=list)

    def watch(self, data: TrainingData) -> OnIteration:
        """Returns a callback for `train` that adds a point after each iteration."""
        self.points.clear()
        chosen = self._choose(data.users)
        if not len(chosen):
            return lambda *_: None
        hidden = _HeldOut.read(self.holdout, data.users, data.sources, chosen)
        seen = data.weights[chosen]

        def note(iteration: int, seconds: float, user_factors: Factors, source_factors: Factors) -> None:
            ndcg = hidden.ndcg(user_factors[chosen], source_factors, seen, self.k)
            self.points.append(Point(iteration, seconds, ndcg))

        return note

    def _choose(self, users: IdMap) -> NDArray[np.int64]:
        """Returns the rows of the sampled users, ascending."""
        judged = np.zeros(len(users), bool)
        for _, batch in streamed(self.holdout, ["user_id"], _ROWS):
            rows = users.rows(batch["user_id"])
            judged[rows[rows >= 0]] = True
        shuffled = np.random.default_rng(self.seed).permutation(np.flatnonzero(judged).astype(np.int64))
        return np.sort(shuffled[: self.sample])


@dataclass(frozen=True, eq=False)
class _HeldOut:
    """The truth of the sample: sorted keys place · sources + source of trained sources, and the size of each truth."""

    keys: NDArray[np.int64]
    wanted: NDArray[np.int64]

    @classmethod
    def read(cls, holdout: ds.Dataset, users: IdMap, sources: IdMap, chosen: NDArray[np.int64]) -> "_HeldOut":
        place = np.full(len(users) + 1, -1)  # the last: unknown users
        place[chosen] = np.arange(len(chosen))
        keys, wanted = [], np.zeros(len(chosen), np.int64)
        for _, batch in streamed(holdout, ["user_id", "source_id"], _ROWS):
            places, columns = place[users.rows(batch["user_id"])], sources.rows(batch["source_id"]).astype(np.int64)
            wanted += np.bincount(places[places >= 0], minlength=len(chosen))
            known = (places >= 0) & (columns >= 0)
            keys.append(places[known] * len(sources) + columns[known])
        return cls(np.sort(np.concatenate(keys)), wanted)

    def ndcg(self, users: Factors, source_factors: Factors, seen: csr_matrix, k: int) -> float:
        """Returns the mean NDCG@k of the best sources of users (sample, d), without `seen` (sample, sources)."""
        sources = len(source_factors)
        length, step = min(k, sources), max(1, _SCORES // sources)
        hits = np.empty((len(users), length), bool)
        for start in range(0, len(users), step):
            block = slice(start, start + step)
            scores = users[block] @ source_factors.T
            excluded = seen[block].tocoo()
            scores[excluded.row, excluded.col] = -np.inf
            best = _best(scores, length)
            places = np.arange(start, start + len(best))[:, None]
            allowed = np.isfinite(np.take_along_axis(scores, best, axis=1))
            hits[block] = np.isin(places * sources + best, self.keys) & allowed
        lengths = np.full(len(users), length)
        return float(score_hits(hits.ravel(), lengths, self.wanted, k).ndcg.mean())


def _best(scores: NDArray[np.float32], length: int) -> NDArray[np.int64]:
    """Returns the columns of the largest scores of each row, best first."""
    best = np.argpartition(scores, -length, axis=1)[:, -length:]
    order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1)
