"""Walks a user's ranking as the lists are made, and says of each source what kept it out: the first rule."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.explain.rules import Rule
from models.explain.scores import Factors, Rows, UserScores

Codes = NDArray[np.int32]


@dataclass(frozen=True)
class Limits:
    """The rules of a run's lists, as in its settings."""

    n: int
    per_category: int | None = None
    per_owner: int | None = None
    min_score: float | None = None


@dataclass(frozen=True, eq=False)
class Traits:
    """What rules know of the sources of a training; categories and owners: codes, −1 where unknown."""

    eligible: NDArray[np.bool_]
    categories: Codes
    owners: Codes


@dataclass(frozen=True, eq=False)
class Place:
    """A source of the ranking, in its order."""

    row: int
    rank: int
    """Among all sources with factors, from 1."""
    score: float
    rule: Rule | None
    """The first that kept it out; None: it is in the list."""
    before: int = 0
    """Sources of its category, or owner, in the list before it, where the rule is a cap."""


MOST = 10_000
"""Dropped sources that are held."""


@dataclass(frozen=True, eq=False)
class Walk:
    """The ranking down to the last source of the list."""

    kept: tuple[Place, ...]
    """The list that the rules make, best first."""
    dropped: tuple[Place, ...]
    """What is better than the last one in the list and is not in it, best first, at most MOST of them.

    If the list is short, every other source with at least the lowest score is meant.
    """
    by_rule: dict[Rule, int]
    """How many were dropped, by the first rule."""


def walk(scores: UserScores, reasons: dict[int, Rule], traits: Traits, limits: Limits) -> Walk:
    """Returns the ranking of a user down to the last source that the rules let into the list.

    reasons: row → the first of the user's own exclusions. Exact: a list by `models.lists.caps.best_lists` is the same.
    """
    excluded = np.zeros(len(traits.eligible), bool)
    excluded[list(reasons)] = True
    candidates = traits.eligible & ~excluded
    count, depth = int(candidates.sum()), limits.n
    while True:
        least = _depth_score(scores.about, candidates, depth) if depth < count else -np.inf
        if limits.min_score is not None:
            least = max(least, limits.min_score)
        floor = least - scores.margin  # below it, `about` may have missed some
        found = _Walker(traits, limits, reasons).run(*scores.from_the_best(floor), floor)
        if found.is_full or depth >= count or (limits.min_score is not None and least <= limits.min_score):
            return found.walk
        depth *= 4


def _depth_score(about: Factors, candidates: NDArray[np.bool_], depth: int) -> float:
    some = about[candidates]
    return float(np.partition(some, len(some) - depth)[len(some) - depth])


class _Walker:
    """Fills one list in the order of the ranking."""

    def __init__(self, traits: Traits, limits: Limits, reasons: dict[int, Rule]) -> None:
        self._traits, self._limits, self._reasons = traits, limits, reasons
        self._categories, self._owners = Counter[int](), Counter[int]()
        self._kept: list[Place] = []
        self._dropped: list[Place] = []
        self._by_rule = Counter[Rule]()

    @property
    def is_full(self) -> bool:
        return len(self._kept) == self._limits.n

    @property
    def walk(self) -> Walk:
        return Walk(tuple(self._kept), tuple(self._dropped), dict(self._by_rule))

    def run(self, rows: Rows, scores: Factors, floor: float) -> "_Walker":
        least = floor if self._limits.min_score is None else max(self._limits.min_score, floor)
        for rank, (row, score) in enumerate(zip(rows.tolist(), scores.tolist(), strict=True), 1):
            if self.is_full or score < least:
                break
            rule, before = self._rule(row)
            place = Place(row, rank, score, rule, before)
            if rule is None:
                self._keep(place)
            else:
                self._by_rule[rule] += 1
                if len(self._dropped) < MOST:
                    self._dropped.append(place)
        return self

    def _rule(self, row: int) -> tuple[Rule | None, int]:
        """Returns the first rule that keeps a source out, and how many fill its cap."""
        if row in self._reasons:
            return self._reasons[row], 0
        if not self._traits.eligible[row]:
            return Rule.INELIGIBLE, 0
        caps = (
            (Rule.CATEGORY_CAP, self._traits.categories, self._categories, self._limits.per_category),
            (Rule.OWNER_CAP, self._traits.owners, self._owners, self._limits.per_owner),
        )
        for rule, codes, uses, cap in caps:
            if cap is not None and codes[row] >= 0 and uses[int(codes[row])] >= cap:
                return rule, uses[int(codes[row])]
        return None, 0

    def _keep(self, place: Place) -> None:
        self._kept.append(place)
        self._categories[int(self._traits.categories[place.row])] += 1
        self._owners[int(self._traits.owners[place.row])] += 1
