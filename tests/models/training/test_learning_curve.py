"""NDCG after each iteration, against its definition."""

from math import log2

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from conf import contract
from conf.training import AlsSettings
from models.training import learning_curve as module
from models.training.learning_curve import LearningCurve, Point
from models.training.train import Embeddings, train
from models.training.trainer import Factors, OnIteration, TrainingData
from tests.models.worlds import interactions_of, planted

SETTINGS = AlsSettings(factors=4, iterations=3, threads=1, regularization=0.1)
K = 5
Pairs = list[tuple[int, int]]


def split(seed: int) -> tuple[Pairs, Pairs]:
    """A fifth of the pairs are held out; so are pairs of an untrained user, and with an untrained source."""
    weights, _ = planted(users=120, sources=40, seed=seed)
    pairs = [(int(user), int(source)) for user, source in zip(*weights.nonzero(), strict=True)]
    hidden = np.random.default_rng(seed).random(len(pairs)) < 0.2
    trained = [pair for pair, is_hidden in zip(pairs, hidden, strict=True) if not is_hidden]
    strange = [(999, 3), (pairs[0][0], 777), (pairs[-1][0], 777)]
    return trained, [pair for pair, is_hidden in zip(pairs, hidden, strict=True) if is_hidden] + strange


def table(pairs: Pairs) -> ds.Dataset:
    users, sources = zip(*pairs, strict=True) if pairs else ((), ())
    columns = [pa.array(users, pa.int64()), pa.array(sources, pa.int64()), pa.array([1.0] * len(pairs))]
    return ds.dataset(pa.Table.from_arrays(columns, schema=contract.holdout("int64")))


def curve_of(trained: Pairs, curve: LearningCurve) -> Embeddings:
    interactions = ds.dataset(interactions_of([(*pair, 1.0) for pair in sorted(trained)]))
    return train(interactions, SETTINGS, "int64", watch=curve.watch)


def ndcg_by_definition(found: Embeddings, trained: Pairs, held: Pairs, users: set[int]) -> float:
    scores, row_of = found.user_factors @ found.source_factors.T, {u: r for r, u in enumerate(found.users.values)}
    each = []
    for user in users:
        seen, truth = ({source for who, source in pairs if who == user} for pairs in (trained, held))
        order = [int(found.sources.values[column]) for column in np.argsort(-scores[row_of[user]])]
        best = [source for source in order if source not in seen][:K]
        gained = sum(1 / log2(rank + 2) for rank, source in enumerate(best) if source in truth)
        each.append(gained / sum(1 / log2(rank + 2) for rank in range(min(K, len(truth)))))
    return float(np.mean(each))


@pytest.mark.parametrize("scores", [50, 2**22])
def test_the_last_point_is_the_ndcg_of_the_factors(monkeypatch: pytest.MonkeyPatch, scores: int) -> None:
    monkeypatch.setattr(module, "_SCORES", scores)
    trained, held = split(1)
    curve = LearningCurve(table(held), K)
    found = curve_of(trained, curve)
    users = {user for user, _ in held} & {user for user, _ in trained}
    assert [point.iteration for point in curve.points] == [1, 2, 3]
    assert [point.seconds for point in curve.points] == list(found.stats.iteration_seconds)
    assert curve.points[-1].ndcg == pytest.approx(ndcg_by_definition(found, trained, held, users))
    assert 0.1 < curve.points[-1].ndcg < 1


def test_watching_changes_no_bit() -> None:
    trained, held = split(2)
    watched = curve_of(trained, LearningCurve(table(held), K))
    alone = train(ds.dataset(interactions_of([(*pair, 1.0) for pair in sorted(trained)])), SETTINGS, "int64")
    assert np.array_equal(watched.user_factors, alone.user_factors)
    assert np.array_equal(watched.source_factors, alone.source_factors)


def test_a_sample_is_drawn_by_its_seed() -> None:
    trained, held = split(3)
    first, again, other = (LearningCurve(table(held), K, sample=10, seed=seed) for seed in (1, 1, 2))
    for curve in (first, again, other):
        curve_of(trained, curve)
    assert [point.ndcg for point in first.points] == [point.ndcg for point in again.points]
    assert [point.ndcg for point in first.points] != [point.ndcg for point in other.points]


def test_each_training_has_its_own_points() -> None:
    trained, held = split(1)
    curve = LearningCurve(table(held), K)
    for _ in range(2):
        curve_of(trained, curve)
        assert len(curve.points) == 3


@pytest.mark.parametrize("held", [[], [(999, 1)]])
def test_without_trained_users_there_are_no_points(held: Pairs) -> None:
    trained, _ = split(1)
    curve = LearningCurve(table(held), K, points=[Point(1, 0.5, 0.5)])
    curve_of(trained, curve)
    assert curve.points == []


def test_a_list_as_long_as_the_catalogue_never_counts_what_is_barred() -> None:
    trained, held = [(1, 1), (1, 2), (2, 1), (2, 2), (2, 3)], [(1, 3), (2, 1)]
    curve = LearningCurve(table(held), k=20)
    curve_of(trained, curve)
    assert curve.points[-1].ndcg == 0.5  # user 1 gets their only new source; the truth of user 2 is trained


def test_what_a_watcher_raises_ends_the_training_as_it_is() -> None:
    class Enough(Exception):
        pass

    trained, held = split(1)
    curve = LearningCurve(table(held), K)

    def watch(data: TrainingData) -> OnIteration:
        told = curve.watch(data)

        def stop_after_two(iteration: int, seconds: float, users: Factors, sources: Factors) -> None:
            told(iteration, seconds, users, sources)
            if iteration == 2:
                raise Enough

        return stop_after_two

    with pytest.raises(Enough):
        train(ds.dataset(interactions_of([(*pair, 1.0) for pair in sorted(trained)])), SETTINGS, "int64", watch=watch)
    assert [point.iteration for point in curve.points] == [1, 2]
