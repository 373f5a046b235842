"""Anchors: artificial users and sources that make Spark ML's ALS use the λ of `models.training.als`.

Spark multiplies λ by the interactions of each user and source, which is another model, and a worse one where measured.
So Spark's own λ is 0, and ours comes from a property of implicit-feedback ALS: every pair without an interaction costs
(x·y)². Sources without interactions whose vectors are √λ·e_1 … √λ·e_d cost each user λ|x|² together, and such users
cost each source λ|y|². To hold these vectors in place, d users `a`, d users `b`, d sources `a`, d sources `b` engage
with one another with such a high confidence that nothing else moves them: a·a = b·b = I, user a · source b = t·I with t
+ 1/t = λ, and 0 off the diagonals. That determines all of them except the basis of the space, on which scores do not
depend; `balance` finds the basis in which both sides' anchors have the Gram matrix λI.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.arrays.arrow import column_of
from models.errors import TrainError
from models.training.spectral import Factors

LEAST = 2.0
"""Smallest λ that anchors can represent (t = 1); real data have tens to thousands."""
_SURENESS = 1e4
"""Confidence of the anchors ÷ that of all interactions together."""
_TOLERANCE = 0.1
"""Largest relative deviation of the anchors from λ; beyond it the training failed."""


@dataclass(frozen=True)
class Anchors:
    """2 · `factors` users from row `first_user` on, and as many sources from row `first_source` on."""

    factors: int
    regularization: float
    """λ, at least LEAST."""
    squares: float
    """Σ c² of the interactions."""
    first_user: int
    first_source: int

    def ratings(self) -> pa.Table:
        """Returns user_row, source_row int32 and Spark's rating float32: confidence beyond 1; negative means score 0.

        A score between 0 and 1 takes two ratings of the pair, one of each sign. Confidences follow the sizes of the
        vectors, so that relative errors count equally.
        """
        t = 2 / (self.regularization + np.sqrt(self.regularization**2 - 4))
        sure = _SURENESS * (self.squares + self.regularization**2)
        apart, same = np.nonzero(~np.eye(self.factors, dtype=bool)), np.diag_indices(self.factors)
        parts = []
        for user_group, source_group, asked in ((0, 0, 1.0), (1, 1, 1.0), (0, 1, t), (1, 0, None)):
            confidence = sure * t ** (2.0 * (user_group - source_group))
            places = [(apart, -confidence)]  # user b · source a is 1/t, which no rating can express; it follows
            places += [(same, confidence * asked)] if asked else []
            places += [(same, confidence * (asked - 1))] if asked and asked < 1 else []
            for (users, sources), rating in places:
                first_user = self.first_user + user_group * self.factors
                first_source = self.first_source + source_group * self.factors
                parts.append((users + first_user, sources + first_source, np.full(len(users), rating)))
        user_rows, source_rows, ratings = (np.concatenate(column) for column in zip(*parts, strict=True))
        columns = [user_rows.astype(np.int32), source_rows.astype(np.int32), ratings.astype(np.float32)]
        return pa.table([column_of(column) for column in columns], ["user_row", "source_row", "rating"])

    def balance(self, users: Factors, sources: Factors) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Returns matrices (d, d) for all user and all source factors, from the anchors' factors (2d, d); same scores.

        Raises TrainError when the anchors are too far from λ.
        """
        values, vectors = np.linalg.eigh(_gram(users) / self.regularization)
        if values[0] <= 0:
            raise _astray()
        of_users = (vectors / np.sqrt(values)) @ vectors.T
        of_sources = (vectors * np.sqrt(values)) @ vectors.T
        turned = of_sources @ _gram(sources) @ of_sources / self.regularization
        if not np.allclose(turned, np.eye(self.factors), atol=_TOLERANCE):
            raise _astray()
        return of_users, of_sources


def _gram(vectors: Factors) -> NDArray[np.float64]:
    if not np.isfinite(vectors).all():
        raise _astray()
    wide = vectors.astype(np.float64)
    return wide.T @ wide


def _astray() -> TrainError:
    return TrainError(
        "training on the cluster returned factors that do not keep train.regularization; look for extreme weights, "
        "raise train.iterations or lower train.alpha"
    )
