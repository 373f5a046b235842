"""A user who must be forgotten is nobody to features: everything is as if the datasets had never heard of them."""

import datetime as dt
from collections.abc import Collection
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyspark.sql import SparkSession

from conf.ids import UserId
from features.build import Features, build_features
from features.partials import daily_partials
from features.reading.erasures import without_owners, without_users
from tests.features.fakes import FakeCatalog
from tests.features.test_build import CLICKS, FULL, SNAPSHOTS, rows
from tests.features.world import AS_OF, ago, settings

TABLES = ("interactions", "exclusions", "sources", "audience", "train_interactions", "train_exclusions", "holdout")
CLICKED = {"path": "clicks", "window": "3 days ago:today", "on_missing": "shrink", "max_missing_days": 1}
ERASED = {1, 3, 77}
"""Of every dataset; the owner of a source; nobody at all."""
WANTED = settings(**SNAPSHOTS, events={"clicks": CLICKED})  # of a day without the user nothing may be left


def contents(built: Features) -> dict[str, list[Any]]:
    found = {name: rows(getattr(built, name)) for name in TABLES}
    built.release()
    return found


def purged(tables: Any, erased: Collection[UserId]) -> dict[str, dict[dt.date, pa.Table | None]]:
    """The datasets as an owner would leave them who deleted the users from every file."""
    return {
        name: {day: None if content is None else _purged(content, erased) for day, content in days.items()}
        for name, days in tables.items()
    }


def _purged(content: pa.Table, erased: Collection[UserId]) -> pa.Table:
    for column in {"user_id", "owner_id"} & {*content.column_names}:
        theirs = pc.is_in(content[column], pa.array(sorted(erased), content.schema.field(column).type))
        if column == "user_id":
            content = content.filter(pc.invert(theirs))
        else:
            owners = pc.if_else(theirs, None, content[column])
            content = content.set_column(content.schema.get_field_index(column), column, owners)
    return content


@pytest.fixture(scope="module")
def never_known(spark: SparkSession) -> dict[str, list[Any]]:
    """What features are when the users never were."""
    return contents(build_features(WANTED, AS_OF, FakeCatalog(spark, purged(FULL, ERASED))))


def test_features_are_those_of_datasets_without_the_users(
    spark: SparkSession, never_known: dict[str, list[Any]]
) -> None:
    catalog = FakeCatalog(spark, FULL, ERASED)
    assert contents(build_features(WANTED, AS_OF, catalog)) == never_known
    assert {row[0] for row in never_known["interactions"]} == {2}
    assert users_kept(catalog) == {2}, "partials hold nobody who was erased before they were made"


def test_partials_that_were_kept_before_the_erasure_bring_nobody_back(
    spark: SparkSession, never_known: dict[str, list[Any]]
) -> None:
    before, after = FakeCatalog(spark, FULL), FakeCatalog(spark, FULL, ERASED)
    clicks = WANTED.datasets.events["clicks"]
    daily_partials("clicks", clicks, before.partitions(clicks, before.days(clicks)).finished, "int64", before)
    assert users_kept(before) == {1, 2, 3}
    after.partials = before.partials
    built = build_features(WANTED, AS_OF, after)
    assert built.inputs[0].partials_rebuilt == (), "no day is read again for it"
    assert contents(built) == never_known


def users_kept(catalog: FakeCatalog) -> set[UserId]:
    tables = (table.filter(pc.is_null(table["left_out"])) for table in catalog.partials.rows.values())
    return {user for table in tables for user in table["user_id"].to_pylist()}


def test_rows_left_out_are_counted_and_those_without_a_user_stay_a_fault(spark: SparkSession) -> None:
    clicks = {day: content for day, content in CLICKS.items() if day >= ago(3)}
    clicks[ago(1)] = pa.concat_tables(
        [clicks[ago(1)], clicks[ago(1)].slice(0, 1).set_column(0, "user_id", pa.array([None], pa.int64()))]
    )
    wanted = settings(events={"clicks": {"path": "clicks", "window": "3 days ago:today", "bad_row_budget": 0.5}})
    built = build_features(wanted, AS_OF, FakeCatalog(spark, {"clicks": clicks}, {1}))
    days = {day.day: day for day in built.inputs[0].days}
    built.release()
    assert [(days[ago(n)].rows, days[ago(n)].erased, days[ago(n)].kept) for n in (3, 2, 1)] == [
        (2, 1, 1),
        (2, 2, 0),
        (6, 2, 3),
    ]
    assert (days[ago(1)].ignored, days[ago(1)].dropped) == (0, {"null_user_id": 1})


def test_ids_of_both_kinds_columns_in_their_order(spark: SparkSession) -> None:
    strings = spark.createDataFrame([(1.5, "ü"), (2.5, "u2"), (3.5, None), (4.5, "7")], "weight double, user_id string")
    left = without_users(strings, {"ü", "7", "nobody"})
    assert left.schema == strings.schema
    assert sorted(map(tuple, left.collect())) == [(2.5, "u2"), (3.5, None)]
    largest = spark.createDataFrame([(2**63 - 1,), (-(2**63),), (2**53 + 1,)], "user_id bigint")
    assert [row["user_id"] for row in without_users(largest, {2**63 - 1, 2**53}).collect()] == [-(2**63), 2**53 + 1]
    owned = spark.createDataFrame([(1, 7), (2, None), (3, 8)], "source_id bigint, owner_id bigint")
    freed = without_owners(owned, {7})
    assert sorted(map(tuple, freed.collect())) == [(1, None), (2, None), (3, 8)]
    assert freed.schema == owned.schema
