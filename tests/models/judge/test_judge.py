"""Lists and truth → rows → figures: a world small enough for paper, segments, differences, leaks."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from conf.contract import judged_users
from conf.ids import IdKind
from models.errors import NothingToJudge
from models.judge import ALL, NEW, OURS, POPULARITY, FigureKey
from tests.models.judge.worlds import World
from tests.models.test_metrics import slow_gini

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

KINDS = pytest.mark.parametrize("kind", ["int64", "string"])

LISTS = {
    1: [5, 6, 7],  # 6 at rank 2 is right, 7 at rank 3 is cut off
    2: [8, 5],  # 8 at rank 1 is right; 9 and 3 are missed
    4: [],  # everything is excluded: an empty list of their own
    7: [5, 6],  # nothing new in the hold-out: not judged
}
TRUTH = {
    1: [6, 7],
    2: [8, 9, 3],
    3: [2],  # has no list: is served the popular ones, and 2 is at rank 2
    4: [5],
}
EXCLUDED = {2: [1], 4: [*range(1, 10)]}
SEEN = {1: [1, 2], 2: [1, 2, 4], 4: [2], 7: [1, 2, 3]}
SECOND = 1 / math.log2(3)
IDEAL = 1 + SECOND


@KINDS
def test_a_world_small_enough_for_paper(spark: "SparkSession", tmp_path: Path, kind: IdKind) -> None:
    world = World(spark, tmp_path, kind)
    rows = world.judged({OURS: LISTS}, TRUTH, excluded=EXCLUDED, seen=SEEN, k=2)
    found = world.judgement(rows, k=2, eligible=10)

    def mean(metric: str, arm: str = OURS, segment: str = ALL) -> float:
        return found.figures[FigureKey(arm, segment, metric)].mean

    assert found.users() == 4
    assert mean("ndcg") == pytest.approx((SECOND / IDEAL + 1 / IDEAL + SECOND + 0) / 4)
    assert mean("recall") == pytest.approx((1 / 2 + 1 / 3 + 1 + 0) / 4)
    assert mean("map") == pytest.approx((0.5 / 2 + 1 / 2 + 0.5 + 0) / 4)
    # popular: 1, 2 for users 1 and 3; 2, 3 for user 2, who may not have 1, and 3 is right; nothing for user 4
    assert mean("ndcg", POPULARITY) == pytest.approx((0 + SECOND / IDEAL + SECOND + 0) / 4)
    bits = {source: -math.log2((10 - source) / 9) for source in range(1, 10)}
    assert mean("novelty") == pytest.approx(((bits[5] + bits[6]) / 2 + (bits[8] + bits[5]) / 2 + bits[2] / 2) / 3)
    assert mean("fallback") == pytest.approx(1 / 4)
    assert mean("covered") == pytest.approx(2 / 4)
    assert found.spreads[OURS].coverage == pytest.approx(5 / 10)  # 5, 6, 8, and the popular 1 and 2
    assert found.spreads[OURS].gini == pytest.approx(slow_gini([2, 1, 1, 1, 1, 0, 0, 0, 0, 0]))


def test_segments_are_by_what_was_known_before_the_cut(spark: "SparkSession", tmp_path: Path) -> None:
    world = World(spark, tmp_path)
    found = world.judgement(world.judged({OURS: LISTS}, TRUTH, excluded=EXCLUDED, seen=SEEN, k=2), k=2)
    ndcg = {segment: found.figures[FigureKey(OURS, segment, "ndcg")].mean for segment in ("cold", "light", "heavy")}
    assert ndcg == pytest.approx({"cold": SECOND, "light": SECOND / IDEAL / 2, "heavy": 1 / IDEAL})
    assert [found.users(segment) for segment in (ALL, "cold", "light", "heavy")] == [4, 1, 2, 1]
    # sources 1 to 7 became known within 7 days before the cut: user 1 missed 7, user 2 missed 3
    assert found.users(NEW) == 4
    assert found.figures[FigureKey(OURS, NEW, "recall")].mean == pytest.approx((1 / 2 + 0 + 1 + 0) / 4)


def test_arms_are_compared_user_by_user(spark: "SparkSession", tmp_path: Path) -> None:
    world = World(spark, tmp_path)
    users = range(1, 41)
    draw = np.random.default_rng(5)
    ours = {user: draw.permutation(np.arange(1, 10))[:3].tolist() for user in users}
    truth = {user: [int(draw.integers(1, 10))] for user in users}
    worse = {user: [source for source in top if source not in truth[user]][:2] for user, top in ours.items()}
    same = world.judgement(world.judged({OURS: ours, "champion": dict(ours)}, truth, k=3), k=3)
    lead = same.leads[FigureKey("champion", ALL, "ndcg")]
    assert (lead.mean, lead.low, lead.high) == (0, 0, 0)  # however wide the intervals of the two are
    assert same.figures[FigureKey(OURS, ALL, "ndcg")].low < same.figures[FigureKey(OURS, ALL, "ndcg")].high
    better = world.judgement(world.judged({OURS: ours, "champion": worse}, truth, k=3), k=3)
    lead = better.leads[FigureKey("champion", ALL, "ndcg")]
    assert 0 < lead.low <= lead.mean <= lead.high
    assert lead.mean == pytest.approx(better.figures[FigureKey(OURS, ALL, "ndcg")].mean)  # the champion never hits


@KINDS
def test_rows_keep_their_contract(spark: "SparkSession", tmp_path: Path, kind: IdKind) -> None:
    from pyspark.sql.pandas.types import from_arrow_schema

    world = World(spark, tmp_path, kind)
    rows = world.judged({OURS: LISTS, "champion": {}}, TRUTH, k=2)
    assert rows.schema == from_arrow_schema(judged_users(kind, (OURS, POPULARITY, "champion")))
    found = {row["user_id"]: row for row in rows.collect()}
    assert len(found) == 4
    assert all(row["champion"]["source_ids"] == row["popularity"]["source_ids"] for row in found.values())


def test_names_are_flat_and_survive_json(spark: "SparkSession", tmp_path: Path) -> None:
    world = World(spark, tmp_path)
    found = world.judgement(world.judged({OURS: LISTS}, TRUTH, seen=SEEN, k=2), k=2).flat()
    assert json.loads(json.dumps(found)) == found
    for name in ("ndcg", "popularity.ndcg", "heavy.ndcg", "popularity.heavy.recall", "new.map", "over_popularity.ndcg"):
        assert found[f"{name}.low"] <= found[name] <= found[f"{name}.high"]  # type: ignore[operator]
    assert {"users", "cold.users", "coverage", "gini", "popularity.gini", "novelty", "fallback", "k"} <= found.keys()


def test_a_source_that_nobody_knew_is_a_leak(spark: "SparkSession", tmp_path: Path) -> None:
    world = World(spark, tmp_path)
    rows = world.judged({OURS: {1: [5, 77]}}, {1: [5]}, k=2)
    with pytest.raises(Exception, match=r"LeakedSource.*77"):
        rows.collect()


def test_nobody_to_judge(spark: "SparkSession", tmp_path: Path) -> None:
    world = World(spark, tmp_path)
    with pytest.raises(NothingToJudge, match="hold-out"):
        world.judgement(world.judged({OURS: LISTS}, {}, k=2), k=2)
