"""The whole stage over Parquet folders: string ids, twice, and a champion that reads another weight column."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession

from conf.recipe import Recipe
from conf.settings import Settings
from features.build import Features, build_features
from jobs.storage.datasets import SparkCatalog
from jobs.storage.store import Storage
from tests.features.world import AS_OF, EVENT_SCHEMA, ago, at, settings, table

CHAMPIONS = "partials/champion/clicks"


def rows(frame: DataFrame, *columns: str) -> list[Any]:
    """Sorted tuples of the columns."""
    return sorted(tuple(row) for row in frame.select(*columns).collect())


def test_strings_as_ids_over_files_and_again_next_week(spark: SparkSession, tmp_path: Path) -> None:
    schema = pa.schema(
        [("user_id", pa.string()), ("source_id", pa.string()), ("event", pa.string()), ("ts", pa.timestamp("ns"))]
    )
    for days in (1, 2, 3, 4):
        folder = tmp_path / f"data/clicks/dt={ago(days)}"
        folder.mkdir(parents=True)
        noon = at(ago(days)).replace(tzinfo=None)
        pq.write_table(table(schema, ("ü", "s1", "like", noon), ("u2", f"s{days}", "like", noon)), folder / "a.parquet")
        (folder / "_SUCCESS").touch()
    wanted = settings().model_copy(update={"ids": "string"})
    catalog = SparkCatalog(lambda: spark, Storage(str(tmp_path / "data")), Storage(str(tmp_path / "partials")))
    first = build_features(wanted, AS_OF, catalog)
    second = build_features(wanted, AS_OF, catalog)
    assert first.inputs[0].partials_reused == ()
    assert second.inputs[0].partials_rebuilt == ()
    expected = [("u2", "s1", 0.5), ("u2", "s2", 0.25), ("u2", "s3", 0.125), ("ü", "s1", 0.875)]
    for built in (first, second):
        assert rows(built.interactions, "user_id", "source_id", "weight") == expected
        built.release()


def test_a_champion_reads_its_own_weight_column(spark: SparkSession, tmp_path: Path) -> None:
    schema = EVENT_SCHEMA.append(pa.field("quantity", pa.float64())).append(pa.field("gaps", pa.float64()))
    for days in (1, 2, 3, 4):
        folder = tmp_path / f"data/clicks/dt={ago(days)}"
        folder.mkdir(parents=True)
        pq.write_table(table(schema, (1, 11, "like", at(ago(days)), 8.0, None)), folder / "a.parquet")
        (folder / "_SUCCESS").touch()
    catalog = SparkCatalog(lambda: spark, Storage(str(tmp_path / "data")), Storage(str(tmp_path / "partials")))

    def built(champion: Settings | None) -> Features:
        recipe = None if champion is None else Recipe.of(champion)
        features = build_features(settings(), AS_OF, catalog, recipe and recipe.applied_to(settings()))
        assert rows(features.interactions, "user_id", "source_id", "weight") == [(1, 11, 0.875)]
        features.release()
        return features

    by_quantity = built(weighed_by("quantity"))
    assert by_quantity.champion is not None
    assert rows(by_quantity.champion.interactions, "weight") == [(7.0,)]
    assert rows(by_quantity.champion.train_interactions, "weight") == [(7.0,)]
    assert by_quantity.inputs[0].partials_rebuilt == (ago(4), ago(3), ago(2), ago(1))

    again = built(weighed_by("quantity"))
    assert again.champion is not None
    assert again.inputs[0].partials_rebuilt == again.champion.inputs[0].partials_rebuilt == ()

    gone = built(weighed_by("seconds"))
    assert gone.champion is None
    assert "dataset 'clicks' does not have the columns it must have" in (gone.champion_fault or "")
    assert "'seconds'" in (gone.champion_fault or "")
    assert not any((tmp_path / CHAMPIONS).glob("dt=*")), "nothing needs them any more"

    dirty = built(weighed_by("gaps"))
    assert dirty.champion is None
    assert "1 of 1 rows are unusable" in (dirty.champion_fault or "")
    assert not any((tmp_path / CHAMPIONS).glob("dt=*"))
    assert built(None).champion_fault is None


def weighed_by(column: str) -> Settings:
    """The product with a weight column."""
    clicks = {"path": "clicks", "window": "3 days ago:today", "columns": {"weight": column}}
    return settings(events={"clicks": clicks})
