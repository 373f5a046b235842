"""Metrics: a world small enough for paper, and a slow independent reference."""

import json
import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf import contract
from models.errors import NothingToJudge
from models.fallback import Fallback
from models.list_metrics import score_lists, spread
from models.metrics import Judgement, judge_lists

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Lists = dict[int, list[int]]

FALLBACK = Fallback(pa.array([1, 2, 3, 4]), np.array([4, 3, 2, 1], np.float32))


def lists_table(spark: "SparkSession", lists: Lists) -> "DataFrame":
    columns = [list(lists), list(lists.values()), [[1.0] * len(top) for top in lists.values()], [True] * len(lists)]
    return _table(spark, contract.lists("int64"), columns)


def truth_table(spark: "SparkSession", truth: Lists) -> "DataFrame":
    pairs = [(user, source) for user, sources in truth.items() for source in sources]
    columns = [[u for u, _ in pairs], [s for _, s in pairs], [1.0] * len(pairs)]
    return _table(spark, contract.holdout("int64"), columns)


def exclusions_table(spark: "SparkSession", barred: Lists) -> "DataFrame":
    pairs = [(user, source) for user, sources in barred.items() for source in sources]
    columns = [[u for u, _ in pairs], [s for _, s in pairs], ["seen"] * len(pairs)]
    return _table(spark, contract.exclusions("int64"), columns)


def _table(spark: "SparkSession", schema: pa.Schema, columns: list[list[object]]) -> "DataFrame":
    arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
    return spark.createDataFrame(pa.Table.from_arrays(arrays, schema=schema))


def slow_means(lists: Lists, truth: Lists, k: int) -> tuple[float, float, float]:
    """NDCG, recall and MAP at k, one user and one rank after the other."""
    ndcg, recall, precision = [], [], []
    for user, wanted in truth.items():
        gain, hits, precisions = 0.0, 0, 0.0
        for rank, source in enumerate(lists[user][:k], start=1):
            if source in wanted:
                hits += 1
                gain += 1 / math.log2(rank + 1)
                precisions += hits / rank
        ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(wanted)) + 1))
        ndcg.append(gain / ideal)
        recall.append(hits / len(wanted))
        precision.append(precisions / min(k, len(wanted)))
    return float(np.mean(ndcg)), float(np.mean(recall)), float(np.mean(precision))


def test_a_world_small_enough_for_paper(spark: "SparkSession") -> None:
    lists = {
        1: [5, 6, 7],  # 6 at rank 2 is right, 7 at rank 3 is cut off
        2: [8, 5],  # 8 at rank 1 is right; 9 is missed
        7: [5, 6],  # nothing new in the hold-out: not judged, yet counts for coverage
    }
    truth = {
        1: [6, 7],
        2: [8, 9, 10],
        3: [2],  # has no list: is served the fallback 1, 2, and 2 is at rank 2
    }
    found = judge_lists(
        lists_table(spark, lists),
        truth_table(spark, truth),
        exclusions_table(spark, {2: [1]}),
        FALLBACK,
        k=2,
        eligible=10,
        ids="int64",
    )
    second = 1 / math.log2(3)
    ideal = 1 + second
    assert found == Judgement(
        k=2,
        users=3,
        ndcg=pytest.approx((second / ideal + 1 / ideal + second) / 3),
        recall=pytest.approx((1 / 2 + 1 / 3 + 1) / 3),
        map=pytest.approx((0.5 / 2 + 1 / 2 + 0.5) / 3),
        popularity_ndcg=pytest.approx((0 + 0 + second) / 3),
        popularity_recall=pytest.approx(1 / 3),
        popularity_map=pytest.approx(0.5 / 3),
        fallback_share=pytest.approx(1 / 3),
        coverage=pytest.approx(3 / 10),  # 5, 6 and 8
        gini=pytest.approx(_slow_gini([0] * 7 + [3, 2, 1])),  # places of 5, 6, 8, and none for seven others
    )
    assert Judgement(**json.loads(json.dumps(found.to_json()))) == found


def _slow_gini(places: list[int]) -> float:
    """Mean absolute difference of all pairs, over twice the mean."""
    pairs = [abs(a - b) for a in places for b in places]
    return float(np.mean(pairs) / (2 * np.mean(places)))


SOURCES = st.lists(st.integers(0, 12), unique=True, max_size=9)


@given(st.lists(st.tuples(SOURCES, SOURCES.filter(bool)), min_size=1, max_size=8), st.integers(1, 12))
def test_scores_agree_with_a_slow_reference(rows: list[tuple[list[int], list[int]]], k: int) -> None:
    lists, truth = pa.array([top for top, _ in rows], pa.list_(pa.int64())), pa.array([wanted for _, wanted in rows])
    found = score_lists(lists, truth, k)
    expected = slow_means({u: top for u, (top, _) in enumerate(rows)}, {u: w for u, (_, w) in enumerate(rows)}, k)
    assert (found.ndcg.mean(), found.recall.mean(), found.map.mean()) == pytest.approx(expected)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=30))
def test_spread_agrees_with_all_pairs(places: list[int]) -> None:
    listed = Counter(count for count in places if count)
    coverage, gini = spread(sorted(listed.items()), len(places))
    assert coverage == pytest.approx(np.mean(np.array(places) > 0))
    assert gini == pytest.approx(_slow_gini(places) if any(places) else 0.0)


def test_only_the_users_of_the_run_are_judged(spark: "SparkSession") -> None:
    lists, truth = lists_table(spark, {1: [5], 2: [6]}), truth_table(spark, {1: [5], 2: [5]})
    barred = exclusions_table(spark, {})
    asked = _table(spark, contract.audience("int64"), [[1]])
    found = judge_lists(lists, truth, barred, FALLBACK, 3, eligible=9, ids="int64", users=asked)
    assert (found.users, found.ndcg) == (1, 1.0)
    nobody = _table(spark, contract.audience("int64"), [[8]])
    with pytest.raises(NothingToJudge, match="hold-out"):
        judge_lists(lists, truth, barred, FALLBACK, 3, eligible=9, ids="int64", users=nobody)
