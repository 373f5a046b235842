"""What is measured of snapshots, and how much of the former one is still there."""

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from conf.errors import ConfigError
from conf.ids import IdKind
from expectations.drift.history import Measured
from expectations.drift.measure_past import measure_past, snapshots_of
from expectations.drift.sketch import SIZE, Sketch, former_of, of_table, to_table
from expectations.drift.statistics import statistic
from tests.features.fakes import FakeCatalog
from tests.features.world import AS_OF, ago, settings

WEEK = dt.timedelta(days=7)


def measured(
    spark: SparkSession,
    earlier: list[Sketch],
    as_of: dt.date = AS_OF,
    erased: Any = (),
    ids: IdKind = "int64",
    **snapshots: pa.Table,
) -> tuple[dict[tuple[str, str], Measured], list[Sketch]]:
    """The numbers of snapshots of the day before `as_of`, by subject and name, and their sketches."""
    tables = {name: {as_of - dt.timedelta(days=1): table} for name, table in snapshots.items()}
    product = settings(**{name: {"path": name} for name in snapshots})
    catalog = FakeCatalog(spark, {"clicks": {}, **tables}, erased)
    found, sketches = measure_past(catalog, product.model_copy(update={"ids": ids}), as_of, earlier=earlier)
    assert all(one.day == as_of and one.made_of == "" for one in found)
    return {(one.subject, one.name): one for one in found}, sketches


def pairs(first: int, last: int) -> pa.Table:
    """Rows of users who follow three sources each."""
    row = np.arange(first, last)
    return pa.table({"user_id": row // 3, "source_id": row})


def test_counts_and_the_mix_of_sources(spark: SparkSession) -> None:
    sources = {
        "source_id": range(10),
        "status": ["active"] * 6 + ["closed", "x", None, None],
        "category": [None, "a", "a", "a", "b", "b", *"cdef"],
        "owner_id": [5, None, None, None, *range(10, 16)],
    }
    found, _ = measured(spark, [], sources=pa.table(sources), subscriptions=pairs(0, 30), erased={5})
    value = {key: one.value for key, one in found.items()}
    assert value == {
        ("subscriptions", "rows"): 30,
        ("subscriptions", "users"): 10,
        ("subscriptions", "rows_per_user"): 3,
        ("subscriptions", "age"): 2,
        ("sources", "rows"): 10,
        ("sources", "age"): 2,
        ("sources", "ineligible"): 0.4,
        ("sources", "largest_category"): 0.3,
        ("sources", "without_category"): 0.1,
        ("sources", "without_owner"): 0.4,
    }
    assert all(statistic(one.kind, one.name) for one in found.values())


def test_columns_that_a_catalogue_lacks_are_not_measured(spark: SparkSession) -> None:
    found, _ = measured(spark, [], sources=pa.table({"source_id": [1, 2]}))
    assert {name for _, name in found} == {"rows", "age"}
    nothing = pa.table({"source_id": [1, 2], "category": pa.array([None, None], pa.string())})
    found, _ = measured(spark, [], sources=nothing)
    assert (found["sources", "largest_category"].value, found["sources", "without_category"].value) == (0, 1)


def test_how_much_of_the_former_snapshot_is_there(spark: SparkSession) -> None:
    _, before = measured(spark, [], AS_OF - WEEK, subscriptions=pairs(0, 30_000))
    assert len(before[0].hashes) == SIZE
    found, now = measured(spark, before, subscriptions=pairs(6_000, 36_000))
    kept, fresh = found["subscriptions", "kept"], found["subscriptions", "fresh"]
    assert kept.value == pytest.approx(0.8, abs=0.05)
    assert fresh.value == pytest.approx(0.2, abs=0.05)
    assert 800 < kept.n <= SIZE
    found, _ = measured(spark, before, subscriptions=pa.concat_tables([pairs(0, 30_000)] * 2))
    assert (found["subscriptions", "kept"].value, found["subscriptions", "fresh"].value) == (1, 0), "no new row"
    found, _ = measured(spark, before, subscriptions=pairs(0, 3_000))
    assert found["subscriptions", "kept"].value == pytest.approx(0.1, abs=0.04)
    again = of_table(to_table([*before, *now]))
    for one, other in zip(again, [*before, *now], strict=True):
        assert (one.name, one.as_of, one.day, one.hashed_to) == (other.name, other.as_of, other.day, other.hashed_to)
        np.testing.assert_array_equal(one.hashes, other.hashes)


def test_small_snapshots_are_compared_row_by_row(spark: SparkSession) -> None:
    def catalogue(closed: int) -> pa.Table:
        return pa.table({"source_id": range(100), "status": ["closed"] * closed + ["active"] * (100 - closed)})

    _, before = measured(spark, [], AS_OF - WEEK, sources=catalogue(0))
    found, _ = measured(spark, before, sources=catalogue(7))
    assert (found["sources", "kept"].value, found["sources", "kept"].n) == (0.93, 100)
    assert found["sources", "fresh"].value == pytest.approx(0.07)
    texts = pa.table({"user_id": ["a", "b", "c"], "source_id": ["x", "y", "z"]})
    _, before = measured(spark, [], AS_OF - WEEK, ids="string", blocks=texts)
    found, _ = measured(spark, before, ids="string", blocks=texts[:1])
    assert found["blocks", "kept"].value == pytest.approx(1 / 3)
    found, _ = measured(spark, before, ids="string", blocks=texts, erased={"a"})
    assert found["blocks", "kept"].value == pytest.approx(2 / 3), "rows of erased users are not in a sketch"


def test_only_another_partition_of_about_a_week_before_is_compared() -> None:
    def sketch(back: int, day: int | None = None) -> Sketch:
        return Sketch.of("blocks", ago(back), ago(back if day is None else day), [1, 2], 9)

    now = sketch(0)
    assert former_of(now, []) is None
    assert former_of(now, [sketch(3), sketch(11), sketch(7, day=0)]) is None
    nearest = former_of(now, [sketch(4), sketch(8), sketch(10)])
    assert nearest is not None
    assert nearest.as_of == ago(8)
    assert former_of(now, [Sketch.of("audience", ago(7), ago(7), [1], 9)]) is None


def test_nothing_in_common_is_said_of_no_rows() -> None:
    empty, full = Sketch.of("blocks", ago(7), ago(7), [], 9), Sketch.of("blocks", ago(0), ago(0), [1, 5], 9)
    assert empty.kept_in(full) is None
    assert full.kept_in(empty) == (0, 2)


def test_a_segment_is_read_if_it_is_named(spark: SparkSession) -> None:
    audience = {"audience": {ago(1): pa.table({"user_id": [1], "country": ["DE"], "segment": ["x"]})}}
    catalog = FakeCatalog(spark, {"clicks": {}, **audience})
    named = settings(audience={"path": "audience", "columns": {"segment": "country"}})
    plain = settings(audience={"path": "audience"})
    assert [row["segment"] for row in snapshots_of(catalog, named, AS_OF)["audience"].frame.collect()] == ["DE"]
    assert snapshots_of(catalog, plain, AS_OF)["audience"].frame.columns == ["user_id"]
    with pytest.raises(ConfigError, match="'segmnt' is not one of ours; known: user_id, segment"):
        snapshots_of(catalog, settings(audience={"path": "audience", "columns": {"segmnt": "country"}}), AS_OF)
