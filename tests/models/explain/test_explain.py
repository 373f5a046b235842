"""Scores, lists and first rules are those of the ranking, bit for bit; contributions those of a user folded in."""

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from benchmarks.explain.by_hand import fill
from conf.settings import ListSettings
from models.arrays.ids import IdMap
from models.explain.absent import Limits, Traits, walk
from models.explain.contributions import TrainedSources
from models.explain.rules import EXCLUDED, Rule
from models.explain.scores import UserScores, exact_scores
from models.lists.candidates import Candidates
from models.lists.caps import best_lists
from models.ranking import SourceIndex, rank_top_n
from models.training.confidences import Constants
from models.training.fold_in import FoldIn

SOURCES = 500
CAPS = [
    Limits(20),
    Limits(20, per_category=3),
    Limits(20, per_owner=1),
    Limits(20, per_category=2, per_owner=2),
    Limits(20, min_score=0.5),
    Limits(20, per_category=1),
]
"""The last one leaves lists short: there are 7 categories."""


def world(seed: int, d: int) -> tuple[NDArray[np.float32], NDArray[np.float32], Traits, dict[int, Rule]]:
    """A user, sources with ties among them, their traits, and the user's exclusions."""
    rng = np.random.default_rng(seed)
    sources = rng.normal(size=(SOURCES, d)).astype(np.float32)
    sources[rng.integers(0, SOURCES, 50)] = sources[7]
    user = rng.normal(size=d).astype(np.float32)
    categories, owners = (rng.integers(-1, most, SOURCES).astype(np.int32) for most in (7, 90))
    out = rng.choice(SOURCES, 60, replace=False)
    reasons = {int(row): EXCLUDED[int(rng.integers(4))] for row in out}
    return user, sources, Traits(rng.random(SOURCES) < 0.8, categories, owners), reasons


@pytest.mark.parametrize("d", [1, 5, 16, 37, 64])
def test_scores_and_ranks_are_those_of_the_ranking(d: int) -> None:
    user, sources, _, _ = world(d, d)
    everything = rank_top_n(SourceIndex.build(sources), user[None, :], SOURCES)
    exact = exact_scores(user, sources)
    assert np.array_equal(exact[everything.ids[0]], everything.scores[0])
    scores = UserScores(user, sources, float(np.linalg.norm(sources.astype(float), axis=1).max()))
    assert [scores.rank(int(row)) for row in everything.ids[0]] == [*range(1, SOURCES + 1)]
    rows, found = scores.from_the_best(float(everything.scores[0][40]))
    assert np.array_equal(rows[:40], everything.ids[0][:40])
    assert np.array_equal(found[:40], everything.scores[0][:40])


@pytest.mark.parametrize("limits", CAPS)
@pytest.mark.parametrize("seed", range(4))
def test_the_list_and_the_first_rules_are_those_of_brute_force(limits: Limits, seed: int) -> None:
    user, sources, traits, reasons = world(seed, 16)
    found = walk(UserScores(user, sources, 99.0), reasons, traits, limits)
    assert [(place.row, place.score) for place in found.kept] == by_the_lists(user, sources, traits, reasons, limits)
    scores = exact_scores(user, sources)
    order = np.lexsort((np.arange(SOURCES), -scores))
    kept, dropped = fill(order, scores[order], traits, reasons, limits)
    assert [place.row for place in found.kept] == kept
    assert [(place.row, place.rule) for place in found.dropped] == dropped
    assert sum(found.by_rule.values()) == len(dropped)
    ranks = sorted(place.rank for place in (*found.kept, *found.dropped))
    assert ranks == [*range(1, len(ranks) + 1)]


def by_the_lists(
    user: NDArray[np.float32],
    sources: NDArray[np.float32],
    traits: Traits,
    reasons: dict[int, Rule],
    limits: Limits,
) -> list[tuple[int, float]]:
    """The list that a run would make, as (row, score)."""
    rows = np.flatnonzero(traits.eligible)
    ids = IdMap(np.arange(len(rows), dtype=np.int64))
    candidates = Candidates(ids, SourceIndex.build(sources[rows]), traits.categories[rows], traits.owners[rows])
    out = np.searchsorted(rows, [row for row in reasons if traits.eligible[row]])
    exclude = csr_matrix((np.ones(len(out)), (np.zeros(len(out), int), out)), shape=(1, len(rows)))
    settings = ListSettings(
        n=limits.n, max_per_category=limits.per_category, max_per_owner=limits.per_owner, min_score=limits.min_score
    )
    best = best_lists(candidates, user[None, :], exclude, settings)
    listed = best.ids[0] >= 0
    return list(zip(rows[best.ids[0][listed]].tolist(), best.scores[0][listed].tolist(), strict=True))


def test_contributions_add_up_to_the_score_of_a_user_who_is_folded_in() -> None:
    rng = np.random.default_rng(3)
    sources = rng.normal(size=(40, 6)).astype(np.float32)
    counts = rng.integers(1, 9, 40)
    constants = Constants(3.5, 2.0, 0.4, 0.3)
    trained = TrainedSources(sources, constants)
    rows, weights = np.array([3, 8, 20, 39]), np.array([1.0, 0.5, 4.0, 2.0])
    confidences = trained.confidences(weights, counts[rows])
    fold = FoldIn.of(IdMap.of(pa.array(range(40)), "int64"), sources, counts, constants, threads=1)
    matrix = csr_matrix((weights.astype(np.float32), (np.zeros(4, int), rows)), shape=(1, 40))
    folded = fold.factors(matrix)[0]
    parts = trained.contributions(rows, confidences, np.arange(40))
    assert parts.shape == (40, 4)
    assert parts.sum(axis=1) == pytest.approx(sources.astype(float) @ folded.astype(float), rel=1e-4, abs=1e-6)
    alone = 1 + 3.5 * weights * 4.0**-0.4 * counts[rows] ** -0.3
    assert confidences == pytest.approx(alone, rel=1e-6)
