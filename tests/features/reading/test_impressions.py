"""What users were shown: columns, rows that cannot be used, gaps, and users who must be forgotten."""

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from conf import contract
from conf.datasets import ImpressionDataset
from conf.ids import IdKind
from conf.windows import Window
from features.errors import BadRowsError, BrokenPartitionError, FeaturesError, MissingDatasetError, SchemaError
from features.reading.impression_rows import Impressions, read_impressions
from features.reading.impressions import check_impressions
from features.tables import spark_schema
from tests.features.fakes import FakeCatalog
from tests.features.world import AS_OF, ago, at, table

WINDOW = Window.parse("3 days ago:today", AS_OF)
PLAIN = pa.schema([("user_id", pa.int64()), ("source_id", pa.int64()), ("ts", pa.timestamp("us", "UTC"))])
WHOLE = pa.schema([*PLAIN, ("place", pa.int16()), ("batch", pa.string()), ("screen", pa.string())])
NAMES = {"position": "place", "run": "batch", "surface": "screen"}


def dataset(**changes: Any) -> ImpressionDataset:
    """Impressions of which a day may be missing."""
    return ImpressionDataset(**{"path": "seen", "on_missing": "shrink", "max_missing_days": 2} | changes)


def read(catalog: FakeCatalog, ids: IdKind = "int64", **changes: Any) -> Impressions:
    """The impressions of the last three days."""
    return read_impressions(dataset(**changes), WINDOW, ids, catalog)


def yesterday(spark: SparkSession, content: pa.Table, **more: Any) -> FakeCatalog:
    """A catalog of one day."""
    return FakeCatalog(spark, {"seen": {ago(1): content}}, **more)


def rows(found: Impressions) -> list[tuple[Any, ...]]:
    """Sorted tuples of user, source, position, run and surface."""
    named = found.frame.select("user_id", "source_id", "position", "run", "surface")
    return sorted(tuple(row) for row in named.collect())


def test_needed_columns_are_enough_and_the_contract_is_kept(spark: SparkSession) -> None:
    found = read(yesterday(spark, table(PLAIN, (1, 10, at(ago(1))), (1, 11, at(ago(1))))))
    assert rows(found) == [(1, 10, None, None, "default"), (1, 11, None, None, "default")]
    assert found.frame.schema.simpleString() == spark_schema(contract.impressions("int64")).simpleString()
    (day,) = found.days
    assert (day.day, day.rows, day.erased, day.dropped, day.kept) == (ago(1), 2, 0, {}, 2)


def test_columns_are_read_under_the_names_that_the_settings_say(spark: SparkSession) -> None:
    noon = at(ago(1))
    content = table(WHOLE, (1, 10, noon, 1, "run-a", "feed"), (2, 10, noon, None, None, None))
    assert rows(read(yesterday(spark, content), columns=NAMES)) == [
        (1, 10, 1, "run-a", "feed"),
        (2, 10, None, None, "default"),
    ]
    assert rows(read(yesterday(spark, content))) == [(1, 10, None, None, "default"), (2, 10, None, None, "default")]
    odd = {"user_id": "who", "source_id": "what", "ts": "when"}
    renamed = table(PLAIN, (1, 10, noon)).rename_columns(list(odd.values()))
    assert rows(read(yesterday(spark, renamed), columns=odd)) == [(1, 10, None, None, "default")]


def test_what_is_delivered_twice_is_there_twice(spark: SparkSession) -> None:
    assert len(rows(read(yesterday(spark, table(PLAIN, *[(1, 10, at(ago(1)))] * 2))))) == 2


@pytest.mark.parametrize(
    ("row", "fault", "told"),
    [
        ((None, 10, 12, 1, "r", "feed"), "null_user_id", "without user_id"),
        ((1, None, 12, 1, "r", "feed"), "null_source_id", "without source_id"),
        ((1, 10, None, 1, "r", "feed"), "null_ts", "without a time"),
        ((1, 10, 36, 1, "r", "feed"), "ts_outside_day", "outside their partition's day"),
        ((1, 10, 12, 0, "r", "feed"), "bad_position", "the first place is 1; null: unknown"),
        ((1, 10, 12, -1, "r", "feed"), "bad_position", "1 … 1,000"),
        ((1, 10, 12, 1001, "r", "feed"), "bad_position", "1 … 1,000"),
        ((1, 10, 12, 1, "r", "Home Feed"), "bad_surface", "1 … 64 of a-z, 0-9"),
        ((1, 10, 12, 1, "r", "feed\n"), "bad_surface", "1 … 64"),
        ((1, 10, 12, 1, "r", "f" * 65), "bad_surface", "1 … 64"),
        ((1, 10, 12, 1, "r", ""), "bad_surface", "1 … 64"),
    ],
)
def test_rows_that_cannot_be_used_are_counted_or_refused(
    spark: SparkSession, row: tuple[Any, ...], fault: str, told: str
) -> None:
    midnight, (user, source, hour, *rest) = at(ago(1), 0), row
    bad = (user, source, None if hour is None else midnight + dt.timedelta(hours=hour), *rest)
    catalog = yesterday(spark, table(WHOLE, (1, 10, at(ago(1)), 1000, "r", "a.b_c-1"), bad))
    found = read(catalog, columns=NAMES, bad_row_budget=0.5)
    assert found.days[0].dropped == {fault: 1}
    assert rows(found) == [(1, 10, 1000, "r", "a.b_c-1")]
    with pytest.raises(BadRowsError, match=rf"'impressions' \(seen\), dt={ago(1)}: 1 of 2 rows.*{told}.*{fault}"):
        read(catalog, columns=NAMES, bad_row_budget=0.4)


def test_late_impressions_are_of_the_day_of_arrival(spark: SparkSession) -> None:
    catalog = yesterday(spark, table(PLAIN, (1, 10, at(ago(2))), (1, 11, at(ago(1)))))
    assert len(rows(read(catalog, day_of="ingestion", lateness_days=1))) == 2
    with pytest.raises(BadRowsError, match="ts_outside_day"):
        read(catalog)


def test_forgotten_users_were_shown_nothing(spark: SparkSession) -> None:
    catalog = yesterday(spark, table(PLAIN, (1, 10, at(ago(1))), (2, 10, at(ago(9)))), erased={2})
    found = read(catalog)
    assert (found.days[0].erased, found.days[0].dropped) == (1, {})
    assert [row[0] for row in rows(found)] == [1]


def test_ids_are_of_the_kind_of_the_product(spark: SparkSession) -> None:
    texts = pa.schema([("user_id", pa.string()), ("source_id", pa.string()), ("ts", pa.timestamp("ns"))])
    noon = at(ago(1)).replace(tzinfo=None)
    catalog = yesterday(spark, table(texts, ("u", "s", noon), ("", "s", noon)))
    found = read(catalog, ids="string", bad_row_budget=0.5)
    assert (rows(found), found.days[0].dropped) == ([("u", "s", None, None, "default")], {"empty_user_id": 1})
    with pytest.raises(SchemaError, match="'user_id' is string, must be an integer"):
        read(catalog)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"columns": {"position": "rank"}}, r"'impressions'.*no column 'rank'.*set columns.position of dataset"),
        ({"columns": {"position": "screen"}}, "'screen' is string, must be an integer"),
        ({"columns": {"run": "place"}}, "'place' is int16, must be a string"),
        ({"columns": {"surface": "user_id"}}, "'user_id' is int64, must be a string"),
        ({"columns": {"ts": "batch"}}, "'batch' is string, must be a timestamp"),
    ],
)
def test_columns_are_checked_before_any_row_is_read(spark: SparkSession, changes: dict[str, Any], told: str) -> None:
    catalog = yesterday(spark, table(WHOLE, (1, 10, at(ago(1)), 1, "r", "feed")))
    with pytest.raises(SchemaError, match=told):
        check_impressions(dataset(**changes), WINDOW, "int64", catalog)
    assert catalog.opened == []


@pytest.mark.parametrize(("policy", "code"), [("fail", 2), ("wait", 75)])
def test_gaps_are_those_of_every_dataset(spark: SparkSession, policy: str, code: int) -> None:
    catalog = yesterday(spark, table(PLAIN, (1, 10, at(ago(1)))))
    with pytest.raises(FeaturesError, match=rf"'impressions' \(seen\), window .*2 missing: {ago(3)}") as error:
        read(catalog, on_missing=policy)
    assert error.value.exit_code == code
    assert [day.day for day in read(catalog).days] == [ago(1)]
    with pytest.raises(FeaturesError, match="At most 1 may be"):
        read(catalog, max_missing_days=1)
    with pytest.raises(FeaturesError, match="nothing to read"):
        read(FakeCatalog(spark, {"seen": {ago(9): table(PLAIN)}}), max_missing_days=9)
    with pytest.raises(MissingDatasetError, match="'seen'"):
        read(FakeCatalog(spark, {}))


def test_days_that_an_operator_left_out_are_not_read(spark: SparkSession) -> None:
    day = table(PLAIN, (1, 10, at(ago(1))))
    twice = {ago(1): day, ago(2): table(PLAIN, (1, 10, at(ago(2))))}
    catalog = FakeCatalog(spark, {"seen": twice}, excluded={"seen": {ago(1): "by anna: half is lost"}})
    assert [one.day for one in read(catalog).days] == [ago(2)]


def test_a_day_of_which_other_rows_are_read_than_its_footers_count_is_refused(spark: SparkSession) -> None:
    class Lying(FakeCatalog):
        def read(self, *arguments: Any) -> Any:
            return super().read(*arguments).limit(1)

    catalog = Lying(spark, {"seen": {ago(1): table(PLAIN, *[(1, 10, at(ago(1)))] * 3)}})
    with pytest.raises(BrokenPartitionError, match="count 3 rows, and 1 were read"):
        read(catalog)
