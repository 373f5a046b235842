"""Without which of a user's interactions a source would lose its place: what a place rests on, beside its score.

What adds most to a score may add as much to the scores of its rivals, so that without it all of them fall together.
For each of the sources right behind, the interactions whose absence narrows the lead most are tried (the search of
Tran, Ghazimatin, Saha Roy 2021, "Counterfactual explanations for neural recommenders"); what is said of a set is not
estimated, but the user folded in anew without it: the factors of the sources stay, so that absence takes a few rank-one
terms from the user's normal equations (Sherman, Morrison, Woodbury).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from models.explain.contributions import Floats, TrainedSources

Rows = NDArray[np.int64]
REMOVED = 3
"""Interactions that are left out at once."""
_BEHIND = 30
"""Sources behind one that sets are tried for."""
_MOST = 2000
"""Interactions that sets are made of, of users who have more: those that can move scores most."""


@dataclass(frozen=True, eq=False)
class Counterfactual:
    """A source's place among rivals, the user folded in anew; places count from 1."""

    without: tuple[int, ...]
    """The interactions that are left out, as positions among the user's."""
    place: int
    """With every interaction."""
    place_without: int


@dataclass(frozen=True, eq=False)
class Removals:
    """One user's scores with some rivals, as if the user had never had REMOVED of their interactions."""

    trained: TrainedSources
    rows: Rows
    """Sources of the interactions; more than REMOVED."""
    confidences: Floats
    rivals: Rows
    """Sources that compete for places, in any order."""

    def counterfactuals(self, wanted: Rows) -> list[Counterfactual]:
        """Returns for each wanted position among the rivals the set that lowers its place most, of those tried."""
        order = np.argsort(-self._scores_with_all, kind="stable")
        places = np.argsort(order)
        tried = [self._tried(order, int(places[one])) for one in wanted]
        return [
            self._deepest(int(one), int(places[one]) + 1, sets, self.scores(sets))
            for one, sets in zip(wanted, tried, strict=True)
        ]

    def scores(self, sets: Rows) -> Floats:
        """Returns the scores of all rivals without each of the sets (sets, REMOVED), float64 (sets, rivals)."""
        mine, gains = self._factors[sets], self._confidences[sets] - 1
        overlap = mine @ np.moveaxis(self._solved[:, sets], 0, 1)
        left = gains * (self._own[sets] - np.einsum("tij,tj->ti", overlap, self._confidences[sets]))
        system = np.eye(sets.shape[1]) - gains[:, :, None] * overlap
        change = np.linalg.solve(system, left[:, :, None])[:, :, 0] - self._confidences[sets]
        some, places = np.unique(sets, return_inverse=True)
        reach = self._rivals @ self._solved[:, some]
        found: Floats = self._damped + np.einsum("cts,ts->tc", reach[:, places.reshape(sets.shape)], change)
        return found

    def _deepest(self, wanted: int, place: int, sets: Rows, scores: Floats) -> Counterfactual:
        own = scores[:, wanted]
        without = 1 + (scores > own[:, None]).sum(axis=1)
        best = int(np.lexsort((own, -without))[0])  # of equal places the lowest score
        return Counterfactual(tuple(sets[best].tolist()), place, int(without[best]))

    def _tried(self, order: Rows, at: int) -> Rows:
        """Returns sets (n, REMOVED): for each source behind that place, what narrows the lead before it most."""
        behind = order[at + 1 : at + 1 + _BEHIND]
        lost = self._lost_alone[order[at]] - (self._lost_alone[behind] if len(behind) else 0)
        best = np.argpartition(-np.atleast_2d(lost), REMOVED - 1, axis=1)[:, :REMOVED]
        return np.unique(np.sort(self._able[best], axis=1), axis=0)

    @cached_property
    def _factors(self) -> Floats:
        return self.trained.factors[self.rows].astype(np.float64)

    @cached_property
    def _rivals(self) -> Floats:
        return self.trained.factors[self.rivals].astype(np.float64)

    @cached_property
    def _scores_with_all(self) -> Floats:
        found: Floats = self.trained.contributions(self.rows, self.confidences, self.rivals).sum(axis=1)
        return found

    @cached_property
    def _confidences(self) -> Floats:
        """Confidences of a user with REMOVED interactions less, who is damped less."""
        kept = (len(self.rows) - REMOVED) / len(self.rows)
        found: Floats = 1 + (self.confidences - 1) * kept**-self.trained.constants.user_damping
        return found

    @cached_property
    def _solved(self) -> Floats:
        """A⁻¹ Yᵀ of the user's sources, (d, interactions)."""
        return self.trained.solve(self._factors, self._confidences, self._factors.T)

    @cached_property
    def _own(self) -> Floats:
        """Scores of the user's own sources, damped less, nothing left out."""
        found: Floats = self._factors @ (self._solved @ self._confidences)
        return found

    @cached_property
    def _damped(self) -> Floats:
        """Scores of the rivals, damped less, nothing left out."""
        found: Floats = self._rivals @ (self._solved @ self._confidences)
        return found

    @cached_property
    def _changes_alone(self) -> Floats:
        """What multiplies A⁻¹ y_j where interaction j alone is left out, for each of them."""
        gains = self._confidences - 1
        overlap = np.einsum("ij,ji->i", self._factors, self._solved)
        found: Floats = gains * (self._own - overlap * self._confidences) / (1 - gains * overlap) - self._confidences
        return found

    @cached_property
    def _able(self) -> Rows:
        """The interactions that sets are made of, ascending."""
        most = np.abs(self._changes_alone) * np.linalg.norm(self._solved, axis=0)
        return np.sort(np.argsort(-most, kind="stable")[:_MOST])

    @cached_property
    def _lost_alone(self) -> Floats:
        """What each rival's score loses without each single able interaction, (rivals, able)."""
        found: Floats = -(self._rivals @ self._solved[:, self._able]) * self._changes_alone[self._able]
        return found
