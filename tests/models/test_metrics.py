"""What a metric means for one user: against a slow reference, and against trec_eval itself."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytrec_eval import RelevanceEvaluator

from conf.contract import METRICS
from models.metrics import ListScores, score_lists, spread

Row = tuple[list[int], list[int]]
"""A list and a truth."""

SOURCES = st.lists(st.integers(0, 12), unique=True, max_size=9)
ROWS = st.lists(st.tuples(SOURCES, SOURCES.filter(bool)), min_size=1, max_size=8)


def scored(rows: Sequence[Row], k: int) -> ListScores:
    ids = pa.list_(pa.int64())
    return score_lists(pa.array([top for top, _ in rows], ids), pa.array([wanted for _, wanted in rows], ids), k)


def test_metrics_are_the_columns_of_the_contract() -> None:
    assert tuple(field.name for field in fields(ListScores)) == tuple(METRICS)


def slowly_scored(row: Row, k: int) -> tuple[float, float, float]:
    """NDCG, recall and MAP at k, one rank after the other."""
    top, wanted = row
    gain, hits, precisions = 0.0, 0, 0.0
    for rank, source in enumerate(top[:k], start=1):
        if source in wanted:
            hits += 1
            gain += 1 / math.log2(rank + 1)
            precisions += hits / rank
    reachable = min(k, len(wanted))
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, reachable + 1))
    return gain / ideal, hits / len(wanted), precisions / reachable


@given(ROWS, st.integers(1, 12))
def test_scores_agree_with_a_slow_reference(rows: list[Row], k: int) -> None:
    found = scored(rows, k)
    expected = np.array([slowly_scored(row, k) for row in rows]).T
    assert np.array([found.ndcg, found.recall, found.map]) == pytest.approx(expected)


@pytest.mark.parametrize("k", [1, 5, 10])
def test_scores_agree_with_trec_eval(k: int) -> None:
    draw = np.random.default_rng(k)
    rows = [
        (draw.permutation(60)[: draw.integers(1, 30)].tolist(), draw.permutation(60)[: draw.integers(1, 15)].tolist())
        for _ in range(200)
    ]
    truth = {str(user): dict.fromkeys(map(str, wanted), 1) for user, (_, wanted) in enumerate(rows)}
    lists = {
        str(user): {str(source): -float(at) for at, source in enumerate(top)} for user, (top, _) in enumerate(rows)
    }
    by_user = RelevanceEvaluator(truth, {f"ndcg_cut.{k}", f"recall.{k}", f"map_cut.{k}"}).evaluate(lists)

    def theirs(metric: str) -> np.ndarray:
        return np.array([by_user[str(user)][f"{metric}_{k}"] for user in range(len(rows))])

    ours, wanted = scored(rows, k), np.array([len(wanted) for _, wanted in rows])
    assert ours.ndcg == pytest.approx(theirs("ndcg_cut"))
    assert ours.recall == pytest.approx(theirs("recall"))
    assert ours.map * np.minimum(wanted, k) == pytest.approx(theirs("map_cut") * wanted)  # theirs divides by |T|
    assert ours.ndcg.std() > 0.1  # not a comparison of zeros


@given(st.lists(st.integers(0, 6), min_size=1, max_size=30))
def test_spread_agrees_with_all_pairs(places: list[int]) -> None:
    listed = Counter(count for count in places if count)
    coverage, gini = spread(sorted(listed.items()), len(places))
    assert coverage == pytest.approx(np.mean(np.array(places) > 0))
    assert gini == pytest.approx(slow_gini(places) if any(places) else 0.0)


def slow_gini(places: list[int]) -> float:
    """Mean absolute difference of all pairs, over twice the mean."""
    pairs = [abs(a - b) for a in places for b in places]
    return float(np.mean(pairs) / (2 * np.mean(places)))
