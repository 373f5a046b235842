"""Model cards as a weekly run makes them, without training anything."""

import datetime as dt
import itertools
from dataclasses import replace
from typing import Any

import numpy as np

from conf.contract import LIST_TRAITS, METRICS
from conf.recipe import Recipe
from conf.settings import JudgeSettings
from models.golden import GoldenMetrics
from models.judge import ALL, CHAMPION, ITEM_KNN, NEW, OURS, POPULARITY, Estimate, FigureKey, Judgement, Spread
from models.judge.judgement import SEGMENTS
from models.model_card import (
    SCORES,
    SOURCE_NORMS,
    USER_NORMS,
    ChampionPage,
    ModelCard,
    Shape,
    Week,
)
from models.model_card.shape import shape_of
from models.registry.lineage import Decision, Holdout, Input, InputPartition, Lineage
from models.training.learning_curve import Point
from tests.features.world import settings

ARMS = (OURS, POPULARITY, ITEM_KNN, CHAMPION)
GOLDEN = GoldenMetrics("planted_tastes", 1, "8a" * 32, 20, 1_316, 0.2798, 0.4042, 0.1571, 0.253)


def judgement(seed: int, arms: tuple[str, ...] = ARMS, segments: tuple[str, ...] = SEGMENTS) -> Judgement:
    """Figures drawn by chance, as judged at k = 20."""
    draw = np.random.default_rng(seed)
    users = {segment: int(draw.integers(1, 3_000_000)) for segment in segments}

    def estimate(segment: str, low: float, high: float) -> Estimate:
        ends = np.sort(draw.uniform(low, high, 3))
        return Estimate(users[segment], float(ends[1]), float(ends[0]), float(ends[2]))

    figures, leads = {}, {}
    for arm, segment in itertools.product(arms, segments):
        for metric in METRICS:
            figures[FigureKey(arm, segment, metric)] = estimate(segment, 0.05, 0.4)
            if arm != OURS:
                leads[FigureKey(arm, segment, metric)] = estimate(segment, -0.05, 0.2)
        for trait in LIST_TRAITS if segment != NEW else ():
            figures[FigureKey(arm, segment, trait)] = estimate(segment, 0, 14 if trait == "novelty" else 1)
    spreads = {arm: Spread(float(draw.random()), float(draw.random())) for arm in arms}
    remarks = {ITEM_KNN: "similarities of a sample of 12.0% of the users (judge.knn_products)"}
    return Judgement(20, 200, figures, leads, spreads, remarks if ITEM_KNN in arms else {})


def week(number: int | None, as_of: dt.date, judged: Judgement | None, **changes: Any) -> Week:
    """A version of a week, judged so."""
    ndcg = None if judged is None else judged.figures[FigureKey(OURS, ALL, "ndcg")]
    made = Week(
        version=None if number is None else str(number),
        run_id=f"{as_of:%Y%m%d}T030000Z-{as_of:%Y%m%d}-1",
        as_of=as_of.isoformat(),
        k=None if judged is None else judged.k,
        ndcg=None if ndcg is None else ndcg.mean,
        low=None if ndcg is None else ndcg.low,
        high=None if ndcg is None else ndcg.high,
        popularity=None if judged is None else judged.figures[FigureKey(POPULARITY, ALL, "ndcg")].mean,
        golden=0.2798,
        users=1_234_567,
        sources=45_678,
        interactions=34_567_890,
    )
    return replace(made, **changes)


def model_card(seed: int = 1, **changes: Any) -> ModelCard:
    """A model card with everything in it, but for `changes`."""
    draw, as_of, judged = np.random.default_rng(seed), dt.date(2026, 11, 16), judgement(seed)
    shapes = shapes_of(draw, 1.0)
    days = [as_of - dt.timedelta(weeks=ago) for ago in range(8, 0, -1)]
    before = [week(number, day, judgement(number), users=1_000_000 + 9_876 * number) for number, day in enumerate(days)]
    made = ModelCard(
        lineage=lineage_of(as_of),
        arm=OURS,
        judgement=judged,
        rules=JudgeSettings(),
        curve=[Point(at, 1.5 + at / 10, 0.2 * (1 - 0.5**at)) for at in range(1, 6)],
        shapes=shapes,
        golden=GOLDEN,
        now=week(None, as_of, judged),
        before=before,
        champion=ChampionPage(before[-1], replace(GOLDEN, ndcg=0.2701), shapes_of(draw, 1.2)),
    )
    return replace(made, **changes)


def lineage_of(as_of: dt.date) -> Lineage:
    """Lineage with everything that the page shows."""
    known = settings()

    def given(name: str, rows: int, digest: str, first: int) -> Input:
        days = [as_of - dt.timedelta(days=ago) for ago in range(first, 0, -1)]
        read = tuple(InputPartition(day=day, fingerprint="f", rows=rows if day == days[0] else 0) for day in days)
        uri = f"data/{name}"
        return Input(name=name, uri=uri, start=days[0], end=as_of, digest=digest, days=read, judged_days=())

    return Lineage(
        product="groups",
        run_id="20261116T030000Z-20261116-1",
        as_of=as_of,
        created_at=dt.datetime(2026, 11, 16, 3, tzinfo=dt.UTC),
        started_by="scheduled__2026-11-16",
        factors="runs/groups",
        parent_run="20261109T030000Z-20261109-1",
        parent_version="7",
        config_hash="a1b2c3d4e5f60718",
        settings=known.model_dump(mode="json"),
        recipe=Recipe.of(known).to_json(),
        decision=Decision(winner="challenger", reason="NDCG@20 +0.0031 (+0.0012 to +0.0049) against 0.1812"),
        seeds={"train.seed": 7, "judge.seed": 7},
        code={"run": "4d1f00c", "train": "4d1f00c"},
        libraries={"implicit": "0.7.3", "numpy": "2.4.6"},
        inputs=(
            given("clicks", 812_345_678, "00c0ffee" * 4, 28),
            given("subscriptions", 91_234_567, "0badcafe" * 4, 1),
        ),
        training={"interactions": 34_567_890, "started": "warm", "warm": None, "shares": {"new": 0.25, "old": [1, 2]}},
        holdout=Holdout(days=2, pairs=5_678_901, digest="00c0ffee00c0ffee"),
        judged={"k": 20},
    )


def shapes_of(draw: np.random.Generator, scale: float) -> dict[str, Shape]:
    """Scores and norms, log-normal."""
    found = {}
    for name in (SCORES, USER_NORMS, SOURCE_NORMS):
        shape = shape_of([scale * draw.lognormal(0, 0.5, 1_000).astype(np.float32)])
        assert shape is not None
        found[name] = shape
    return found
