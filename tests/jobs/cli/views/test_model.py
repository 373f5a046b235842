"""How versions look side by side and alone: what a person reads, line by line, and what a difference means."""

import datetime as dt
from dataclasses import replace
from itertools import product as pairs_of
from pathlib import Path
from typing import cast

import pytest

from conf.diff import differences, flattened
from conf.digest import digest_of_inputs
from conf.share import EVERYBODY, Share
from jobs.cli.model_versions import PROMOTED_TAG, ModelVersion
from jobs.cli.views import model
from jobs.cli.views.comparison import comparison
from jobs.cli.views.view import View
from models.champion import Champion
from models.registry import LoggedRun, ModelRegistry, Version
from models.registry.compare import FigurePair, JudgedFigure, compare
from models.registry.lineage import Holdout, InputPartition, Lineage, LineageCheck
from tests.jobs.lineages import JUDGED, made, run_of
from tests.jobs.runs import RUN_ID

GOLDEN = Path(__file__).parent / "golden"
COMMIT = "8d25c2b1e0f4a7d93c5b6e8f0a1b2c3d4e5f6a7b"
LIBRARIES = {
    "pyspark": "4.3.0",
    "implicit": "0.7.3",
    "numpy": "2.4.1",
    "scipy": "1.17.0",
    "pyarrow": "22.0.0",
    "confluent-kafka": "2.13.0",
    "redis": "7.1.0",
    "great-expectations": "1.9.0",
}
SETTINGS = {
    "product": "test",
    "datasets": {"events": {"clicks": {"path": "clicks", "window": "3 days ago:today"}}},
    "judge": {"k": 20, "heavy_from": 10, "new_source_days": 7, "seed": 7},
    "train": {"factors": 64, "alpha": 10.0, "seed": 7},
}
SEEDS = {"judge.seed": 7, "train.seed": 7}
WEEK_BEFORE = "20261109T030000Z-20261109-1"


def version(number: str, *, product: str = "test", **changes: object) -> Version:
    at = dt.datetime(2026, 11, 16, 3, 12, 44, tzinfo=dt.UTC)
    source, run = f"/srv/discovery/runs/{product}/{RUN_ID}", "d10dd8ec6a0145d6a2b79cc1615a39ad"
    return replace(Version(product, number, at, source, run, {}, ()), **changes)


@pytest.fixture
def lineage() -> Lineage:
    parent = Champion(run_id=WEEK_BEFORE, version="6", recipe={"half_life_days": 7.0})
    run = run_of(cast("ModelRegistry", None), Path("/srv/discovery"), serving_before=WEEK_BEFORE, champion=parent)
    training = {"interactions": 12_345_678, "users": 987_654, "sources": 43_210, "fit_seconds": 71.25, "threads": 2}
    code = dict.fromkeys(("run", "features", "train"), COMMIT)
    return made(run, settings=SETTINGS, seeds=SEEDS, libraries=LIBRARIES, training=training, code=code)


@pytest.fixture
def older(lineage: Lineage) -> Lineage:
    """The week before by another recipe, on another hold-out, with a partition that was rewritten since."""
    (clicks,) = lineage.inputs
    day = dt.timedelta(days=1)
    days = (InputPartition(day=clicks.days[0].day - day, fingerprint="f4", rows=400), clicks.days[0], clicks.days[1])
    days = (*days[:2], days[2].model_copy(update={"fingerprint": "late"}))
    moved = {
        "start": clicks.start - day,
        "end": clicks.end - day,
        "days": days,
        "digest": digest_of_inputs([("older", "")]),
    }
    datasets = {"events": {"clicks": {"path": "clicks", "window": "3 days ago:today", "ignore": [*"abcdefghijklmnop"]}}}
    tree = SETTINGS | {
        "datasets": datasets,
        "train": {"factors": 32, "alpha": 20.0, "seed": 7, "half_life": None},
        "dag": {"retries": 2},
    }
    return lineage.model_copy(
        update={
            "run_id": WEEK_BEFORE,
            "as_of": lineage.as_of - 7 * day,
            "parent_run": None,
            "parent_version": None,
            "settings": tree,
            "recipe": lineage.recipe | {"half_life_days": 14.0},
            "code": dict.fromkeys(("run", "features", "train"), f"{COMMIT}+changes"),
            "libraries": LIBRARIES | {"numpy": "2.3.5"},
            "inputs": (clicks.model_copy(update=moved),),
            "holdout": Holdout(days=2, pairs=4_999, digest="0123456789abcdef"),
            "judged": {name: value for name, value in JUDGED.items() if not name.startswith("cold")},
        }
    )


def reads(shown: View, name: str) -> None:
    """The text is that of the golden file, and fits a terminal."""
    assert max(map(len, shown.text.splitlines())) <= 120
    assert all(line == line.rstrip() for line in shown.text.splitlines())
    assert shown.text + "\n" == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def test_list() -> None:
    metrics = {f"judged.{name}": float(value) for name, value in JUDGED.items() if not isinstance(value, str)}
    logged = LoggedRun(RUN_ID, True, {"train.factors": "64"}, metrics)
    tags = {"discovery.run_id": RUN_ID, "discovery.as_of": "2026-11-16"}
    listed = [
        (ModelVersion(version("11", tags=tags), ("challenger",), None), logged),
        (ModelVersion(version("10", tags=tags), ("champion", "best"), Share(2_500)), logged),
        (ModelVersion(version("9", tags=tags), ("previous",), None), replace(logged, metrics={})),
        (ModelVersion(version("8"), (), None), None),
    ]
    reads(model.version_list(listed, {"champion": "9"}, 7), "list")


def test_show(lineage: Lineage) -> None:
    one = ModelVersion(
        version("7", tags={PROMOTED_TAG: "2026-11-16 09:00:00Z: it looks good"}), ("champion",), EVERYBODY
    )
    reads(model.version_details(one, LineageCheck(lineage, ())), "show")


def test_show_a_version_that_was_not_judged_and_is_doubted(lineage: Lineage) -> None:
    split = dict.fromkeys(("run", "features"), COMMIT) | {"train": f"{COMMIT}+changes"}
    skipped = "3 users with something new in the hold-out, split.min_users asks for 50"
    odd = lineage.model_copy(update={"code": split, "holdout": None, "judged": {"skipped": skipped}})
    doubts = ("it lacks the tags discovery.inputs, discovery.lineage", "its MLflow run is of no run of ours")
    reads(model.version_details(ModelVersion(version("7"), (), None), LineageCheck(odd, doubts)), "show_doubted")


def test_compare(lineage: Lineage, older: Lineage) -> None:
    models = (ModelVersion(version("6"), ("previous",), None), ModelVersion(version("7"), ("champion",), EVERYBODY))
    reads(comparison(models, (older, lineage), compare(older, lineage)), "compare_weeks")


def test_compare_recipes_of_one_day(lineage: Lineage, older: Lineage) -> None:
    worse = {"ndcg": 0.1701, "ndcg.low": 0.1655, "ndcg.high": 0.1749, "recall": 0.2388, "users": 1_234}
    other = lineage.model_copy(update={"settings": older.settings, "judged": JUDGED | worse})
    models = (ModelVersion(version("7"), ("champion",), EVERYBODY), ModelVersion(version("8"), ("challenger",), None))
    reads(comparison(models, (lineage, other), compare(lineage, other)), "compare_recipes")


def test_only_figures_of_one_truth_and_one_rule_compare(lineage: Lineage, older: Lineage) -> None:
    same = compare(lineage, lineage)
    assert [*same.remarks, *same.settings, *same.code, *same.libraries, *same.inputs] == []
    assert all(pair.difference == 0 and pair.overlap in (True, None) for pair in same.figures)
    unjudged = lineage.model_copy(update={"holdout": None, "judged": {"skipped": "too few users"}})
    by_ten = lineage.model_copy(update={"judged": JUDGED | {"k": 10}})
    for other, why in ((older, "different hold-outs"), (unjudged, "too few users"), (by_ten, "different rules")):
        for first, second in ((lineage, other), (other, lineage)):
            found = compare(first, second)
            assert any(why in remark for remark in found.remarks)
            assert all(pair.difference is None and pair.overlap is None for pair in found.figures)


def test_intervals_overlap_when_they_share_a_point() -> None:
    ends = [0.1, 0.2, 0.3, 0.4]
    intervals = [(low, high) for low, high in pairs_of(ends, ends) if low <= high]
    for (a, b), (c, d) in pairs_of(intervals, intervals):
        pair = FigurePair("ndcg", JudgedFigure((a + b) / 2, a, b), JudgedFigure((c + d) / 2, c, d), True)
        assert pair.overlap == any(a <= point <= b and c <= point <= d for point in ends)


def test_settings_differ_where_a_flat_name_does() -> None:
    ours = {"train": {"alpha": 1.0, "seed": 7}, "dag": {}, "lists": [1, 2]}
    theirs = {"train": {"alpha": 2.0, "seed": 7, "warm": None}, "dag": {}, "lists": [1, 2]}
    assert flattened(ours) == {"train.alpha": 1.0, "train.seed": 7, "dag": {}, "lists": [1, 2]}
    assert differences(ours, theirs) == {"train.alpha": ("1.0", "2.0"), "train.warm": ("–", "null")}
    assert {name: pair[::-1] for name, pair in differences(theirs, ours).items()} == differences(ours, theirs)
    assert differences(ours, ours) == {}
