"""What training on one machine and on the cluster have in common, and what only the cluster needs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from conf import contract
from conf.ids import IdKind
from conf.training import AlsSettings
from models.arrays.arrow import factor_matrix, whole
from models.errors import BadInteractions
from models.explain.contributions import TrainedSources
from models.training.confidences import Constants
from models.training.memory import DataSize
from models.training.train import train
from tests.models.worlds import ids_of, interactions_of, planted, written

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SETTINGS = AlsSettings(factors=8, iterations=2, threads=1)
FAR = 2**40
"""What keeps ids out of int32."""
Row = tuple[int, int, float]
WEIGHTS, FITS = planted(users=120, sources=48, seed=3)
ROWS: list[Row] = [(int(user) + FAR, int(source) + FAR, 1.0) for user, source in zip(*WEIGHTS.nonzero(), strict=True)]


@dataclass(frozen=True)
class Trained:
    """What a training gave: tables of the contract, and the constants behind them."""

    users: pa.Table
    sources: pa.Table
    constants: Constants

    @property
    def scores(self) -> np.ndarray:
        """float32 (users, sources)."""
        users, sources = (
            factor_matrix(whole(table["factors"]), SETTINGS.factors) for table in (self.users, self.sources)
        )
        return users @ sources.T


Training = Callable[[pa.Table, IdKind], Trained]


def on_this_machine(folder: Path, interactions: pa.Table, kind: IdKind) -> Trained:
    found = train(written(folder, interactions), SETTINGS, kind)
    tables = (pa.Table.from_batches(batches) for batches in (found.user_batches(), found.source_batches()))
    return Trained(*tables, found.stats.constants)


def on_the_cluster(spark: "SparkSession", folder: Path, interactions: pa.Table, kind: IdKind) -> Trained:
    from models.training.als_spark import train_on_spark

    frame = spark.createDataFrame(interactions.select(["user_id", "source_id", "weight"])).repartition(2, "source_id")
    found = train_on_spark(frame, SETTINGS, kind, blocks=2, checkpoints=folder.as_uri())
    users, sources = found.user_factors.toArrow(), found.source_factors.toArrow()
    found.release()
    stats = found.stats.to_json()
    assert (stats["users"], stats["sources"]) == (len(users), len(sources))
    assert stats["interactions"] == len(interactions)
    return Trained(users, sources, found.stats.constants)


@pytest.fixture(scope="module")
def trainings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Training]:
    def here(interactions: pa.Table, kind: IdKind) -> Trained:
        return on_this_machine(tmp_path_factory.mktemp("here"), interactions, kind)

    def there(interactions: pa.Table, kind: IdKind) -> Trained:
        return on_the_cluster(request.getfixturevalue("spark"), tmp_path_factory.mktemp("there"), interactions, kind)

    return {"als": here, "als_spark": there}


@pytest.fixture(scope="module")
def trained(trainings: dict[str, Training]) -> dict[str, Trained]:
    """Both on the same world."""
    return {name: training(interactions_of(ROWS), "int64") for name, training in trainings.items()}


@pytest.mark.parametrize("name", ["als", "als_spark"])
class TestTraining:
    """What holds for every way to train."""

    def test_who_has_interactions_has_factors_in_order_of_ids(self, name: str, trained: dict[str, Trained]) -> None:
        found = trained[name]
        for table, column, place in ((found.users, "user_id", 0), (found.sources, "source_id", 1)):
            schema = getattr(contract, f"{column[:-3]}_factors")("int64")
            assert table.column_names == schema.names
            assert (table[column].type, table["factors"].type.value_type) == (pa.int64(), pa.float32())
            assert table[column].to_pylist() == sorted({row[place] for row in ROWS})
        assert np.isfinite(found.scores).all()

    def test_the_basis_is_balanced(self, name: str, trained: dict[str, Trained]) -> None:
        users, sources = (
            factor_matrix(whole(table["factors"]), 8) for table in (trained[name].users, trained[name].sources)
        )
        assert np.linalg.norm(users) == pytest.approx(np.linalg.norm(sources), rel=0.1)

    def test_interactions_explain_the_best_scores(self, name: str, trained: dict[str, Trained]) -> None:
        """What is left over is that the sources moved once more: at most 5 % of 95 % of the scores."""
        found, seen, remainders = trained[name], WEIGHTS.toarray() > 0, []
        sources = factor_matrix(whole(found.sources["factors"]), SETTINGS.factors)
        explained = TrainedSources(sources, found.constants)
        for user, scores in enumerate(found.scores):
            rows, best = np.flatnonzero(seen[user]), np.argsort(-scores)[:5]
            confidences = explained.confidences(np.ones(len(rows)), seen.sum(axis=0)[rows])
            sums = explained.contributions(rows, confidences, best).sum(axis=1)
            remainders += (np.abs(sums - scores[best]) / scores[best]).tolist()
        assert np.quantile(remainders, 0.95) <= 0.05

    def test_interactions_score_above_other_pairs_and_tastes_are_found(
        self, name: str, trained: dict[str, Trained]
    ) -> None:
        scores, seen = trained[name].scores, WEIGHTS.toarray() > 0
        draw = np.random.default_rng(1)
        some, others = draw.choice(scores[seen], 2000), draw.choice(scores[~seen], 2000)
        assert np.mean(some > others) > 0.9
        best = np.argsort(-np.where(seen, -np.inf, scores), axis=1)[:, :5]
        assert np.take_along_axis(FITS, best, axis=1).mean() > 0.9

    def test_the_same_world_under_string_ids_scores_the_same(
        self, name: str, trained: dict[str, Trained], trainings: dict[str, Training]
    ) -> None:
        again = trainings[name](interactions_of([(u - FAR, s - FAR, w) for u, s, w in ROWS], "string"), "string")
        assert again.users["user_id"].combine_chunks().equals(ids_of(sorted({u - FAR for u, _, _ in ROWS}), "string"))
        assert again.scores == pytest.approx(trained[name].scores, abs=1e-3)

    def test_heavier_interactions_score_higher(
        self, name: str, trained: dict[str, Trained], trainings: dict[str, Training]
    ) -> None:
        heavier = [(u, s, 20.0 if number % 10 == 0 else w) for number, (u, s, w) in enumerate(ROWS)]
        scores = trainings[name](interactions_of(heavier), "int64").scores
        changed = tuple(np.array([(u - FAR, s - FAR) for u, s, w in heavier if w > 1]).T)
        rows = np.unique([u - FAR for u, _, _ in ROWS])
        columns = np.unique([s - FAR for _, s, _ in ROWS])
        places = np.searchsorted(rows, changed[0]), np.searchsorted(columns, changed[1])
        assert scores[places].mean() > trained[name].scores[places].mean() + 0.05

    @pytest.mark.parametrize(
        ("rows", "words"),
        [([], "no interactions"), ([(1, 1, 0.0)], "positive"), ([(1, 1, float("nan"))], "positive")],
    )
    def test_what_is_no_interaction_is_refused(
        self, name: str, trainings: dict[str, Training], rows: list[Row], words: str
    ) -> None:
        with pytest.raises(BadInteractions, match=words):
            trainings[name](interactions_of(rows), "int64")

    def test_ids_of_another_kind_are_refused(self, name: str, trainings: dict[str, Training]) -> None:
        with pytest.raises(BadInteractions, match="need user_id of type"):
            trainings[name](interactions_of(ROWS), "string")


def test_both_find_the_same_model(trained: dict[str, Trained]) -> None:
    here, there = trained["als"], trained["als_spark"]
    for name in ("confidence_per_weight", "regularization"):
        assert getattr(there.constants, name) == pytest.approx(getattr(here.constants, name), rel=1e-4)
    assert np.corrcoef(here.scores.ravel(), there.scores.ravel())[0, 1] > 0.98
    quality = {name: ndcg_of(found.scores) for name, found in trained.items()}
    noise = np.std(quality["als"] - quality["als_spark"]) / np.sqrt(len(quality["als"]))
    assert abs(np.mean(quality["als"] - quality["als_spark"])) <= 3 * noise + 0.01


def ndcg_of(scores: np.ndarray) -> np.ndarray:
    """NDCG@10 of each user's unseen sources, relevant being those of their taste."""
    seen = WEIGHTS.toarray() > 0
    best = np.argsort(-np.where(seen, -np.inf, scores), axis=1)[:, :10]
    gains = np.take_along_axis(FITS & ~seen, best, axis=1) / np.log2(np.arange(2, 12))
    ideal = np.cumsum(1 / np.log2(np.arange(2, 12)))
    return gains.sum(axis=1) / ideal[np.clip((FITS & ~seen).sum(axis=1), 1, 10) - 1]


@pytest.mark.parametrize(("kind", "id_bytes"), [("int64", 8), ("string", 7)])
def test_sides_are_counted_before_training(spark: "SparkSession", kind: IdKind, id_bytes: int) -> None:
    from models.training.als_spark import size_of

    rows: list[Any] = [(1, 7, 1.0), (1, 8, 1.0), (2, 7, 1.0)]
    assert size_of(spark.createDataFrame(interactions_of(rows, kind))) == DataSize(3, 2, 2, id_bytes)
