"""Daily partials: what they hold, when they are made again, and what they refuse."""

from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from conf.datasets import EventDataset
from features import partials as module
from features.errors import BadRowsError, BrokenPartitionError, UnknownEventsError
from features.partials import DailyPartials, check_partials, daily_partials, kept_before, settings_hash_of, valid_rows
from tests.features.fakes import FakeCatalog
from tests.features.world import EVENT_SCHEMA, ago, at, dataset, events, table

WEIGHTS = ("like", "leave")


def make(catalog: FakeCatalog, clicks: EventDataset) -> DailyPartials:
    """The partials of every day of the catalog."""
    parts = catalog.partitions(clicks, catalog.days(clicks)).finished
    return daily_partials("clicks", clicks, parts, "int64", catalog)


def rows(catalog: FakeCatalog, *days: int) -> list[tuple[Any, ...]]:
    """Sound rows of the days."""
    found = valid_rows(catalog.partials.read("clicks", [ago(day) for day in days], "int64"))
    return sorted(tuple(row) for row in found.drop("last_ts").collect())


def test_one_row_per_user_source_event_and_day(spark: SparkSession) -> None:
    schema = EVENT_SCHEMA.append(pa.field("n", pa.float64()))
    day = table(
        schema,
        (1, 9, "like", at(ago(1), 3), 0.5),
        (1, 9, "like", at(ago(1), 5), 2.0),
        (1, 9, "leave", at(ago(1), 4), 1.0),
        (1, 9, "noise", at(ago(1), 4), 1.0),  # ignored
        (None, 9, "like", at(ago(1), 4), 1.0),  # no user
        (3, 9, "like", at(ago(1), 4), None),  # no weight
        (4, 9, "like", at(ago(1), 4), None),  # no weight
        (5, 9, "noise", at(ago(1), 4), None),  # erased, whatever else it is
    )
    catalog = FakeCatalog(spark, {"clicks": {ago(1): day}}, erased={5})
    made = make(catalog, dataset(ignore_events=("noise",), columns={"weight": "n"}, bad_row_budget=0.5))
    like, leave = 2.5, 1.0
    assert rows(catalog, 1) == [(1, 9, "leave", 1, leave, ago(1)), (1, 9, "like", 2, like, ago(1))]
    (record,) = made.records
    assert (record.rows, record.ignored, record.erased, record.kept) == (8, 1, 1, 3)
    assert record.dropped == {"null_user_id": 1, "bad_weight": 2}
    assert record.events == {"like": 2, "leave": 1}
    assert record.largest == {"like": 2.5, "leave": 1.0}
    assert record.users == 1, "of the rows kept"
    last = catalog.partials.read("clicks", [ago(1)], "int64").where("event = 'like'").toArrow()["last_ts"].to_pylist()
    assert last == [at(ago(1), 5)]


@pytest.mark.parametrize("lost", [1, -1])
def test_a_day_of_which_other_rows_are_read_than_its_footers_count_is_refused(spark: SparkSession, lost: int) -> None:
    catalog = FakeCatalog(
        spark, {"clicks": {day: events(day, (1, 1, "like"), (2, 1, "x")) for day in (ago(1), ago(2))}}
    )
    clicks = dataset(ignore_events=("x",))
    parts = catalog.partitions(clicks, catalog.days(clicks)).finished
    catalog.tables = {"clicks": {**catalog.tables["clicks"], ago(2): events(ago(2), *[(1, 1, "like")] * (2 - lost))}}
    with pytest.raises(
        BrokenPartitionError, match=rf"'clicks' \(clicks\), dt={ago(2)}: .* 2 rows, and {2 - lost} were"
    ):
        daily_partials("clicks", clicks, parts, "int64", catalog)
    assert catalog.partials.finished("clicks", catalog.days(clicks)) == ()


def test_next_week_reads_only_what_is_new_or_changed(spark: SparkSession) -> None:
    day = events(ago(2), (1, 1, "like"))
    catalog = FakeCatalog(spark, {"clicks": {ago(3): events(ago(3), (1, 1, "like")), ago(2): day}})
    assert make(catalog, dataset()).reused == ()
    before = rows(catalog, 2, 3)
    catalog.opened.clear()
    changed = FakeCatalog(
        spark,
        {
            "clicks": {
                ago(3): events(ago(3), (1, 1, "like"), (2, 1, "like")),  # came late
                ago(2): day,
                ago(1): events(ago(1), (1, 2, "leave")),  # new
            }
        },
    )
    changed.partials = catalog.partials
    made = make(changed, dataset())
    assert made.reused == (ago(2),)
    assert {opened for _, opened in changed.opened} == {ago(3), ago(1)}
    assert [record.day for record in made.records] == [ago(3), ago(2), ago(1)]
    assert rows(changed, 1, 2, 3) == sorted([*before, (2, 1, "like", 1, 1.0, ago(3)), (1, 2, "leave", 1, 1.0, ago(1))])
    changed.opened.clear()
    assert make(changed, dataset()).reused == (ago(3), ago(2), ago(1))
    assert changed.opened == []


def test_days_that_earlier_runs_made_are_known_without_being_opened(spark: SparkSession) -> None:
    many = [(user, 1, "like") for user in range(1000)] * 2
    days = {
        ago(9): events(ago(9), *many),
        ago(8): events(ago(8), (1, 1, "like")),
        ago(7): events(ago(7), (None, 1, "like")),
    }
    catalog = FakeCatalog(spark, {"clicks": days})
    made = make(catalog, dataset()).records
    assert made[0].users == pytest.approx(1000, rel=0.06), "three standard errors"
    assert [record.users for record in made[1:]] == [1, 0]
    catalog.opened.clear()
    assert kept_before("clicks", dataset(), [ago(9), ago(8), ago(5)], "int64", catalog) == made[:2]
    assert kept_before("clicks", dataset(ignore_events=("x",)), [ago(9)], "int64", catalog) == ()
    assert catalog.opened == []


def test_a_day_staged_but_not_finished_is_made_again(spark: SparkSession) -> None:
    catalog = FakeCatalog(spark, {"clicks": {ago(1): events(ago(1), (1, 1, "like"))}})
    make(catalog, dataset())
    catalog.partials.records.clear()  # killed between the rows and the marker
    assert make(catalog, dataset()).reused == ()
    assert rows(catalog, 1) == [(1, 1, "like", 1, 1.0, ago(1))]


def test_the_recipe_holds_what_changes_the_content_and_no_more() -> None:
    same = [dataset(), dataset(bad_row_budget=0.5, on_missing="wait", window="9 days ago:today"), dataset(path="x")]
    same.append(dataset(lateness_days=3))  # says nothing where dt is the day of the event
    different = [
        dataset(ignore_events=("x",)),
        dataset(columns={"ts": "t"}),
        dataset(day_of="ingestion"),
        dataset(day_of="ingestion", lateness_days=2),
    ]
    assert len({settings_hash_of(one, "int64") for one in same}) == 1
    recipes = {settings_hash_of(one, "int64") for one in (*different, dataset())} | {
        settings_hash_of(dataset(), "string")
    }
    assert len(recipes) == len(different) + 2


def test_the_budget_is_asked_of_kept_days_too(spark: SparkSession) -> None:
    day = table(EVENT_SCHEMA, (1, 1, "like", at(ago(1))), (None, 1, "like", at(ago(1))))
    catalog = FakeCatalog(spark, {"clicks": {ago(1): day}})
    for allowed in (0.5, 0.0):
        clicks = dataset(bad_row_budget=allowed)
        made = make(catalog, clicks)
        if allowed:
            check_partials(made, clicks, [ago(1)], WEIGHTS)
            continue
        assert made.reused == (ago(1),)
        with pytest.raises(BadRowsError, match=f"'clicks'.*{ago(1)}: 1 of 2 rows"):
            check_partials(made, clicks, [ago(1)], WEIGHTS)
        check_partials(made, clicks, [], WEIGHTS)  # a day that nobody asks about


def test_an_event_without_a_weight_is_named(spark: SparkSession) -> None:
    day = events(ago(1), (1, 1, "like"), (1, 1, "poke"), (2, 1, "poke"))
    catalog = FakeCatalog(spark, {"clicks": {ago(1): day}})
    with pytest.raises(UnknownEventsError, match=r"'clicks'.*'poke' \(2 events\).*ignore_events"):
        check_partials(make(catalog, dataset()), dataset(), [ago(1)], WEIGHTS)


def test_a_column_of_something_else_than_event_names(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_EVENT_NAMES", 2)
    day = events(ago(1), (1, 1, "a"), (1, 1, "b"), (1, 1, "c"))
    with pytest.raises(UnknownEventsError, match=r"columns.event"):
        make(FakeCatalog(spark, {"clicks": {ago(1): day}}), dataset())
