"""What every catalog keeps; the fake and the real one inherit these tests."""

import datetime as dt
from collections.abc import Callable, Mapping

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame

from conf import contract
from features.errors import MissingDatasetError
from features.reading.catalog import Catalog, PartialRecord
from features.tables import spark_schema
from tests.features.world import EVENT_SCHEMA, ago, at, dataset, events, table

Make = Callable[[Mapping[str, Mapping[dt.date, pa.Table | None]]], Catalog]
"""{dataset path: {day: table, or None for a day without its marker}} → catalog."""


def record(day: dt.date, fingerprint: str = "f") -> PartialRecord:
    """A record of one kept row."""
    return PartialRecord(
        day=day,
        fingerprint=fingerprint,
        settings_hash="r",
        rows=4,
        ignored=0,
        erased=1,
        dropped={"null_ts": 2},
        events={"like": 1},
        largest={"like": 0.1 + 0.2},
        users=1,
    )


class CatalogContract:
    """Needs a fixture `make` of type Make."""

    def test_days_of_a_missing_dataset_raise(self, make: Make) -> None:
        with pytest.raises(MissingDatasetError, match=r"'elsewhere'.*(path|put)"):
            make({"clicks": {}}).days(dataset(path="elsewhere"))

    def test_partitions_are_those_asked_for_oldest_first(self, make: Make) -> None:
        one, two = events(ago(1), (1, 1, "like")), events(ago(3), (1, 1, "like"), (2, 1, "like"))
        catalog = make({"clicks": {ago(1): one, ago(2): None, ago(3): two, ago(9): one}})
        parts = catalog.partitions(dataset(), [ago(1), ago(2), ago(3), ago(4)])
        assert [(part.day, part.rows) for part in parts.finished] == [(ago(3), 2), (ago(1), 1)]
        assert parts.unfinished == (ago(2),)
        assert catalog.days(dataset()) == (ago(9), ago(3), ago(2), ago(1))

    def test_a_fingerprint_is_of_the_content(self, make: Make) -> None:
        day = {ago(1): events(ago(1), (1, 1, "like"))}
        other = {ago(1): events(ago(1), (1, 1, "like"), (1, 1, "like"))}
        catalog = make({"clicks": day, "more": other})
        (first,), (again,) = (catalog.partitions(dataset(), [ago(1)]).finished for _ in range(2))
        (different,) = catalog.partitions(dataset(path="more"), [ago(1)]).finished
        assert first.fingerprint == again.fingerprint != different.fingerprint

    def test_read_gives_the_columns_asked_for_and_dt(self, make: Make) -> None:
        catalog = make({"clicks": {ago(2): events(ago(2), (1, 5, "like")), ago(1): events(ago(1), (2, 6, "leave"))}})
        parts = catalog.partitions(dataset(), [ago(2), ago(1)]).finished
        rows = catalog.read(dataset(), parts, ("event", "user_id", "nowhere")).orderBy("dt").collect()
        assert [tuple(row) for row in rows] == [("like", 1, None, ago(2)), ("leave", 2, None, ago(1))]

    def test_integers_and_times_arrive_in_one_type(self, make: Make) -> None:
        narrow = pa.schema([("user_id", pa.int32()), ("ts", pa.timestamp("ms"))])  # int32, no zone
        zoned = pa.schema([("user_id", pa.int64()), ("ts", pa.timestamp("ns", "Europe/Berlin"))])
        tiny = pa.schema([("user_id", pa.uint32()), ("ts", pa.timestamp("ns"))])
        tables = {ago(1): table(zoned, (2, at(ago(1)))), ago(2): table(narrow, (1, at(ago(2)).replace(tzinfo=None)))}
        tables[ago(3)] = table(tiny, (2**32 - 1, at(ago(3)).replace(tzinfo=None)))
        catalog = make({"clicks": tables})
        parts = catalog.partitions(dataset(), list(tables)).finished
        frame = catalog.read(dataset(), parts, ("user_id", "ts"))
        assert frame.schema.simpleString() == "struct<user_id:bigint,ts:timestamp,dt:date>"
        rows = frame.selectExpr("user_id", "unix_micros(ts) AS us").orderBy("us").collect()
        noons = [int(at(ago(days)).timestamp()) * 1_000_000 for days in (3, 2, 1)]
        assert [tuple(row) for row in rows] == list(zip([2**32 - 1, 1, 2], noons, strict=True))

    def test_partials_exist_once_finished(self, make: Make) -> None:
        catalog = make({"clicks": {ago(1): events(ago(1), (1, 5, "like"))}})
        store = catalog.partials
        assert store.finished("clicks", [ago(1), ago(2)]) == store.recorded("clicks", [ago(1), ago(2)]) == ()
        store.stage("clicks", [ago(1), ago(2)], self.partial_rows(catalog, {ago(1): 7}))
        assert store.finished("clicks", [ago(1), ago(2)]) == store.recorded("clicks", [ago(1), ago(2)]) == ()
        store.finish("clicks", [record(ago(1)), record(ago(2))])
        assert store.finished("clicks", [ago(1), ago(2), ago(3)]) == (record(ago(2)), record(ago(1)))
        assert store.recorded("clicks", [ago(1), ago(2), ago(3)]) == (record(ago(2)), record(ago(1)))
        rows = store.read("clicks", [ago(1), ago(2)], "int64").collect()
        assert [(row["user_id"], row["amount"], row["dt"]) for row in rows] == [(1, 7, ago(1))]

    def test_staging_replaces_its_days_only_and_unmarks_them(self, make: Make) -> None:
        catalog = make({"clicks": {ago(1): events(ago(1), (1, 5, "like"))}})
        store = catalog.partials
        store.stage("clicks", [ago(1), ago(2)], self.partial_rows(catalog, {ago(1): 7, ago(2): 8}))
        store.finish("clicks", [record(ago(1)), record(ago(2))])
        store.stage("clicks", [ago(1)], self.partial_rows(catalog, {ago(1): 9}))
        assert [kept.day for kept in store.finished("clicks", [ago(1), ago(2)])] == [ago(2)]
        rows = store.read("clicks", [ago(1), ago(2)], "int64").orderBy("dt").collect()
        assert [row["amount"] for row in rows] == [8, 9]
        assert [row["amount"] for row in store.read("clicks", [ago(2)], "int64").collect()] == [8]
        assert store.read("other", [ago(2)], "int64").collect() == []

    def test_some_users_are_those_of_a_day(self, make: Make) -> None:
        catalog = make({"clicks": {ago(1): events(ago(1), (1, 5, "like"))}})
        store = catalog.partials
        rows = self.partial_rows(catalog, {ago(1): 7, ago(2): 8})
        left_out = rows.selectExpr("CAST(NULL AS bigint) AS user_id", "* EXCEPT (user_id)")
        store.stage("clicks", [ago(1), ago(2)], rows.union(left_out.select(*rows.columns)))
        assert list(store.some_users("clicks", ago(1), 100)) == [1]

    def test_pruning_forgets_older_days(self, make: Make) -> None:
        catalog = make({"clicks": {ago(1): events(ago(1), (1, 5, "like"))}})
        store = catalog.partials
        store.stage("clicks", [ago(1), ago(2)], self.partial_rows(catalog, {ago(1): 7, ago(2): 8}))
        store.finish("clicks", [record(ago(1)), record(ago(2))])
        store.prune("clicks", ago(1))
        assert [kept.day for kept in store.finished("clicks", [ago(1), ago(2)])] == [ago(1)]
        assert [row["dt"] for row in store.read("clicks", [ago(1), ago(2)], "int64").collect()] == [ago(1)]

    @staticmethod
    def partial_rows(catalog: Catalog, amounts: Mapping[dt.date, int]) -> DataFrame:
        """A row of daily partials per day, with its amount."""
        parts = catalog.partitions(dataset(), [ago(1)]).finished
        spark = catalog.read(dataset(), parts, EVENT_SCHEMA.names).sparkSession
        schema = spark_schema(contract.daily_partials("int64")).add("left_out", "string").add("dt", "date")
        rows = [(1, 5, "like", 1, float(amount), at(day), None, day) for day, amount in amounts.items()]
        return spark.createDataFrame(rows, schema)
