"""What only the held-out days know is the truth, and reaches nothing that is judged by it.

Two worlds are equal up to the cut. In the second, everybody takes up a planted source in the held-out days, a planted
user does so too, and today's catalogue, the only one there is, lists the source without saying since when.
"""

import datetime as dt
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from conf.settings import JudgeSettings, ListSettings
from conf.training import AlsSettings
from features.build import Features, build_features
from models.judge import JudgeInputs, KnownSources, Neighbours, gather_judged, judge_users, knn_lists
from models.lists.candidates import Candidates
from models.lists.fallback import Fallback, fallback_list
from models.lists.topn import excluded_sources, precompute_lists
from models.training.train import Embeddings, train
from tests.features.fakes import FakeCatalog
from tests.features.world import AS_OF, ago, events, settings
from tests.models.worlds import written

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

USERS, SOURCES, DAYS = range(1, 41), range(101, 131), (6, 5, 4, 3, 2)
PLANTED_SOURCE, PLANTED_USER = 100, 999  # the smallest id of all: first among equals
TRAIN_TABLES = ("train_interactions", "train_exclusions", "train_sources")


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("catalogue", [True, False])
def test_the_tables_of_training_do_not_know_the_held_out_days(
    spark: "SparkSession", seed: int, catalogue: bool
) -> None:
    plain, planted = (features_of(spark, seed, plant=plant, catalogue=catalogue) for plant in (False, True))
    for name in TRAIN_TABLES:
        known, after = sorted_rows(getattr(plain, name)), sorted_rows(getattr(planted, name))
        if name == "train_sources" and catalogue:  # today's catalogue stands in: what it adds may not be listed
            added = [row for row in after if row not in known]
            assert [(row["source_id"], row["eligible"], row["users"]) for row in added] == [(PLANTED_SOURCE, False, 0)]
            after = [row for row in after if row not in added]
        assert after == known
    truth = sorted_rows(planted.holdout)
    assert sum(row["source_id"] == PLANTED_SOURCE for row in truth) == len(USERS) + 1  # the trap is there
    for built in (plain, planted):
        built.release()


def test_no_arm_learns_what_was_planted(spark: "SparkSession", tmp_path: Path) -> None:
    built = features_of(spark, 1, plant=True, catalogue=True)
    interactions = written(tmp_path / "interactions", built.train_interactions.toArrow())
    sources = built.train_sources.toArrow()
    embeddings = train(interactions, AlsSettings(factors=4, iterations=3, threads=1), "int64")
    popular = fallback_list(sources, 1_000)
    known = KnownSources.build(sources, len(embeddings.users), ago(8), "int64")
    neighbours = Neighbours.build(interactions, sources, JudgeSettings(), AlsSettings(threads=1), "int64")
    lists = our_lists(spark, tmp_path, embeddings, sources, popular, built)
    users = gather_judged(built.holdout, built.train_interactions, built.train_exclusions, 2)
    knn = knn_lists(
        users,
        saved(tmp_path / "neighbours", neighbours),
        popular,
        50,
        "int64",
    )
    evidence = JudgeInputs(
        users=users,
        popular=popular,
        known=saved(tmp_path / "known", known),
        ids="int64",
    )
    # a list longer than the catalogue: whatever may be listed, is
    rows = judge_users({"ours": lists, "item_knn": knn}, evidence, 50, JudgeSettings()).collect()
    assert PLANTED_SOURCE not in embeddings.sources.values
    assert PLANTED_USER not in embeddings.users.values
    assert PLANTED_SOURCE not in popular.source_ids.to_pylist()
    assert PLANTED_SOURCE not in known.ids.values
    assert {row["user_id"] for row in rows} == {*USERS, PLANTED_USER}
    for row in rows:
        for arm in ("ours", "item_knn", "popularity"):
            assert row[arm]["source_ids"]
            assert PLANTED_SOURCE not in row[arm]["source_ids"]
        if row["user_id"] == PLANTED_USER:
            assert row["segment"] == "cold"
            assert row["ours"]["fallback"]
            assert row["ours"]["source_ids"] == row["popularity"]["source_ids"] == popular.source_ids.to_pylist()
    built.release()


def features_of(spark: "SparkSession", seed: int, *, plant: bool, catalogue: bool) -> Features:
    draw = np.random.default_rng(seed)
    days: dict[dt.date, pa.Table | None] = {}
    for day in DAYS:
        rows = [(user, int(source), "like") for user in USERS for source in draw.choice(SOURCES, 2, replace=False)]
        days[ago(day)] = events(ago(day), *rows)
    fresh = [(user, PLANTED_SOURCE, "like") for user in (*USERS, PLANTED_USER)] if plant else [(1, SOURCES[0], "like")]
    days[ago(1)] = events(ago(1), *fresh)
    tables: dict[str, Any] = {"clicks": days}
    listed = [*SOURCES, PLANTED_SOURCE] if plant else [*SOURCES]
    more: dict[str, Any] = {}
    if catalogue:
        tables["sources"] = {AS_OF: pa.table({"source_id": listed})}
        more["sources"] = {"path": "sources"}
    wanted = settings(events={"clicks": {"path": "clicks", "window": "5 days ago:today"}}, **more)
    return build_features(wanted, AS_OF, FakeCatalog(spark, tables))


def our_lists(
    spark: "SparkSession",
    folder: Path,
    embeddings: Embeddings,
    sources: pa.Table,
    popular: Fallback,
    built: Features,
) -> "DataFrame":
    users = built.holdout.select("user_id").distinct()
    catalogue = Candidates.build(ds.dataset(pa.Table.from_batches(embeddings.source_batches())), sources, "int64")
    return precompute_lists(
        spark.createDataFrame(pa.Table.from_batches(embeddings.user_batches())),
        excluded_sources(built.train_exclusions, users),
        users,
        saved(folder / "catalogue", catalogue),
        popular,
        ListSettings(n=50, fallback_size=1_000),
        1_000,
        "int64",
    )


def saved(folder: Path, arrays: Any) -> partial[str]:
    """Saves arrays that workers map; returns what they call."""
    folder.mkdir()
    arrays.save(folder)
    return partial(str, str(folder))


def sorted_rows(frame: "DataFrame") -> list[dict[str, Any]]:
    return sorted(frame.toArrow().to_pylist(), key=lambda row: tuple(map(str, row.values())))
