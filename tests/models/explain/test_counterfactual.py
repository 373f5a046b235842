"""Scores without some interactions are those of a user folded in anew; of all sets the deepest fall is found."""

from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from models.arrays.ids import IdMap
from models.explain import counterfactual
from models.explain.contributions import TrainedSources
from models.explain.counterfactual import REMOVED, Removals
from models.training.confidences import Constants
from models.training.fold_in import FoldIn

SOURCES, D, PAIRS = 60, 6, 9
CONSTANTS = Constants(3.5, 2.0, 0.4, 0.3)


class World:
    """A user with PAIRS interactions; all other sources are rivals."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.sources = rng.normal(size=(SOURCES, D)).astype(np.float32)
        self.counts = rng.integers(1, 9, SOURCES)
        self.rows = np.sort(rng.choice(SOURCES, PAIRS, replace=False))
        self.weights = rng.uniform(0.1, 4, PAIRS)
        self.rivals = np.setdiff1d(np.arange(SOURCES), self.rows)
        trained = TrainedSources(self.sources, CONSTANTS)
        confidences = trained.confidences(self.weights, self.counts[self.rows])
        self.removals = Removals(trained, self.rows, confidences, self.rivals)

    def anew(self, without: tuple[int, ...] = ()) -> NDArray[np.float64]:
        """The rivals' scores by the product's own folding."""
        fold = FoldIn.of(IdMap.of(pa.array(range(SOURCES)), "int64"), self.sources, self.counts, CONSTANTS, threads=1)
        kept = np.delete(np.arange(PAIRS), without)
        values = self.weights[kept].astype(np.float32)
        matrix = csr_matrix((values, (np.zeros(len(kept), int), self.rows[kept])), shape=(1, SOURCES))
        return self.sources[self.rivals].astype(float) @ fold.factors(matrix)[0].astype(float)

    def place(self, rival: int, without: tuple[int, ...] = ()) -> int:
        """The place of one rival, folded in anew."""
        scores = self.anew(without)
        return 1 + int((scores > scores[rival]).sum())


@pytest.mark.parametrize("seed", range(3))
def test_scores_without_interactions_are_those_of_a_user_folded_in_anew(seed: int) -> None:
    world = World(seed)
    sets = [*combinations(range(PAIRS), REMOVED)][::7]
    found = world.removals.scores(np.array(sets))
    for scores, without in zip(found, sets, strict=True):
        assert scores == pytest.approx(world.anew(without), rel=1e-3, abs=1e-5)


def test_the_set_that_is_named_lowers_the_place_as_much_as_it_says() -> None:
    world = World(1)
    wanted = np.array([3, 0, 41])
    for rival, one in zip(wanted, world.removals.counterfactuals(wanted), strict=True):
        assert (one.place, one.place_without) == (world.place(rival), world.place(rival, one.without))
        assert len({*one.without}) == REMOVED


def test_no_other_set_lowers_a_source_much_deeper() -> None:
    every = np.array([*combinations(range(PAIRS), REMOVED)])
    falls, deepest = 0, 0
    for seed in range(5):
        world = World(seed)
        scores = world.removals.scores(every)
        for rival, one in enumerate(world.removals.counterfactuals(np.arange(len(world.rivals)))):
            falls += one.place_without - one.place
            deepest += int((1 + (scores > scores[:, [rival]]).sum(axis=1)).max()) - one.place
    assert falls > 0.9 * deepest


def test_of_many_interactions_those_are_tried_that_move_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counterfactual, "_MOST", 5)
    world = World(2)
    found = world.removals.counterfactuals(np.arange(len(world.rivals)))
    assert len({place for one in found for place in one.without}) <= 5
    assert found[7].place_without == world.place(7, found[7].without)
