"""Item-kNN: against dense arithmetic, and as final lists."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from conf import contract
from conf.ids import IdKind
from conf.settings import JudgeSettings
from conf.training import AlsSettings
from models.arrays.arrow import list_column
from models.errors import KnnTooLarge
from models.judge import Neighbours, gather_judged, knn_lists
from models.lists.fallback import Fallback
from tests.models.judge.worlds import sources_table
from tests.models.worlds import ids_of, interactions_of, written

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SOURCES = 12
INELIGIBLE = 3


def built(folder: Path, seen: NDArray[np.bool_], kind: IdKind = "int64", **judge: Any) -> Neighbours:
    pairs = [(int(user), int(source), 1.0) for user, source in np.argwhere(seen)]
    users = {source: int(seen[:, source].sum()) for source in range(seen.shape[1]) if seen[:, source].any()}
    sources = sources_table(users, kind=kind)
    wrong = pa.array([source == INELIGIBLE for source in users])
    eligible = sources.set_column(1, "eligible", pc.invert(wrong))
    interactions = written(folder, interactions_of(pairs, kind))
    return Neighbours.build(interactions, eligible, JudgeSettings(**judge), AlsSettings(threads=1), kind)


def dense_scores(seen: NDArray[np.bool_], neighbours: int) -> NDArray[np.float64]:
    """Scores (users, sources) by the definition."""
    counts = seen.sum(axis=0)
    similar = (seen.T.astype(float) @ seen) / np.sqrt(np.maximum(np.outer(counts, counts), 1))
    np.fill_diagonal(similar, 0)
    for row in similar:
        row[np.argsort(-row, kind="stable")[neighbours:]] = 0
    similar[:, INELIGIBLE] = 0
    return seen.astype(float) @ similar


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_lists_agree_with_dense_arithmetic(tmp_path_factory: pytest.TempPathFactory, seed: int, n: int) -> None:
    draw = np.random.default_rng(seed)
    seen = draw.random((15, SOURCES)) < 0.3
    seen[0] = True  # every source is known
    excluded = seen & (draw.random(seen.shape) < 0.7)
    neighbours = built(tmp_path_factory.mktemp("knn"), seen, knn_neighbours=SOURCES)
    best = neighbours.best(nested(seen), nested(excluded), n)
    scores = np.where(excluded, 0, dense_scores(seen, SOURCES))
    for user in range(len(seen)):
        listed = best.ids[user][best.ids[user] >= 0]
        ideal = np.sort(scores[user])[::-1][:n]
        assert scores[user][listed] == pytest.approx(ideal[ideal > 0])
        assert best.scores[user][: len(listed)] == pytest.approx(ideal[ideal > 0])
        assert not excluded[user][listed].any()
        assert INELIGIBLE not in listed


def test_only_the_nearest_neighbours_count(tmp_path: Path) -> None:
    seen = np.random.default_rng(4).random((60, SOURCES)) < 0.3
    seen[0] = True
    few = built(tmp_path, seen, knn_neighbours=2)
    assert np.diff(few.indptr).max() <= 2
    assert set(few.indices) <= set(range(SOURCES)) - {INELIGIBLE}


def test_users_are_sampled_where_there_are_too_many_products(tmp_path: Path) -> None:
    seen = np.random.default_rng(4).random((400, SOURCES)) < 0.3
    products = int((seen.sum(axis=1) ** 2).sum())
    half = built(tmp_path, seen, knn_products=products // 2)
    assert half.share_of_users == pytest.approx(0.5, abs=0.01)
    whole = built(tmp_path / "whole", seen)
    assert whole.share_of_users == 1
    assert 0 < np.abs(half.similarities[:20] - whole.similarities[:20]).max() < 0.3


def test_too_much_memory_is_refused_before_it_is_taken(tmp_path: Path) -> None:
    interactions = written(tmp_path, interactions_of([(1, 1, 1.0)]))
    with pytest.raises(KnnTooLarge, match=r"item-kNN of 1 sources.*train.max_memory"):
        Neighbours.build(interactions, sources_table({1: 1}), JudgeSettings(), AlsSettings(max_memory=10), "int64")


@pytest.mark.parametrize("kind", ["int64", "string"])
def test_final_lists(spark: "SparkSession", tmp_path: Path, kind: IdKind) -> None:
    seen = np.zeros((4, 6), bool)
    seen[0, [0, 1, 2]] = seen[1, [0, 1]] = seen[2, [4, 5]] = seen[3, [4]] = True
    neighbours = built(tmp_path / "seen", seen, kind)
    folder = tmp_path / "neighbours"
    folder.mkdir()
    neighbours.save(folder)
    pairs = [(int(user), int(source), 1.0) for user, source in np.argwhere(seen)]
    excluded = [(user, source) for user, source, _ in pairs] + [(9, 0)]
    exclusions = pa.Table.from_arrays(
        [
            ids_of([u for u, _ in excluded], kind),
            ids_of([s for _, s in excluded], kind),
            pa.array(["seen"] * len(excluded)),
        ],
        schema=contract.exclusions(kind),
    )
    popular = Fallback(ids_of([0, 1, 4], kind), np.array([2, 2, 2], np.float32))
    asked = [ids_of([1, 2, 3, 9, 10], kind), ids_of([5] * 5, kind), pa.array([1.0] * 5)]
    truth = pa.Table.from_arrays(asked, schema=contract.holdout(kind))
    where = str(folder)
    users = gather_judged(
        spark.createDataFrame(truth),
        spark.createDataFrame(interactions_of(pairs, kind)),
        spark.createDataFrame(exclusions),
        2,
    )
    lists = knn_lists(
        users,
        lambda: where,
        popular,
        2,
        kind,
    )
    found = {row["user_id"]: (row["source_ids"], row["personal"]) for row in lists.collect()}

    def ids(*numbers: int) -> list[Any]:
        return ids_of(numbers, kind).to_pylist()

    assert found == {
        ids(1)[0]: (ids(2), True),
        ids(2)[0]: ([], True),  # knows all that its sources' users know
        ids(3)[0]: (ids(5), True),
        ids(9)[0]: (ids(1, 4), False),  # no interactions: the popular ones without the exclusion
    }


def nested(chosen: NDArray[np.bool_]) -> Any:
    """The chosen columns of each row, as lists of ids."""
    return list_column(chosen.sum(axis=1), pa.array(np.nonzero(chosen)[1].astype(np.int64)))
