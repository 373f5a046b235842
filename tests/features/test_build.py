"""The whole stage on small worlds: exclusions, eligibility, the judged recipe, and what stops a run."""

import datetime as dt
from collections import Counter
from collections.abc import Collection
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession

from conf import contract
from conf.datasets import Dataset, SnapshotDataset
from conf.errors import ConfigError, DiscoveryError
from conf.recipe import Recipe
from conf.settings import Settings
from features.build import Features, build_features
from features.errors import BrokenPartitionError, MissingDaysError, NotArrivedError, SchemaError, SnapshotError
from features.reading.catalog import DayPartitions
from features.reading.snapshots import SnapshotRead, check_snapshot, plan_snapshot, read_snapshots
from features.records import DayRecord
from features.tables import spark_schema
from tests.features.fakes import FakeCatalog
from tests.features.world import AS_OF, PAIR_SCHEMA, ago, at, events, settings, table

SOURCE_SCHEMA = pa.schema(
    [
        ("source_id", pa.int64()),
        ("status", pa.string()),
        ("category", pa.string()),
        ("owner_id", pa.int64()),
        ("created_at", pa.timestamp("ms")),
    ]
)
# A hold-out of one day: the judged recipe trains on days 4, 3 and 2 and is asked about day 1.
CLICKS = {
    ago(4): events(ago(4), (1, 14, "like")),  # before the window: for the judged recipe only
    ago(3): events(ago(3), (1, 11, "like"), (2, 11, "like")),
    ago(2): events(ago(2), (1, 12, "like"), (1, 12, "leave")),  # seen, weighs less than nothing
    ago(1): events(ago(1), (1, 11, "like"), (1, 13, "like"), (2, 12, "like"), (2, 15, "like"), (3, 16, "leave")),
}
EARLY = dt.datetime(2026, 1, 1)  # noqa: DTZ001 (a catalogue without zones)
SOURCES = table(
    SOURCE_SCHEMA,
    (11, "active", "music", 3, EARLY),  # owned by user 3
    (12, "active", None, None, EARLY),
    (13, "active", "games", None, EARLY),
    (15, "closed", "games", None, EARLY),  # not active
    (17, None, "games", None, EARLY),  # status unknown: not a yes
    (18, "active", "games", None, None),  # created who knows when: not a yes
    (19, "active", "games", None, at(AS_OF, 0).replace(tzinfo=None)),  # created at midnight of as_of
    (20, "active", "games", None, at(ago(1), 23).replace(tzinfo=None)),  # created just before
)
FULL: dict[str, dict[dt.date, pa.Table | None]] = {
    "clicks": dict(CLICKS),
    "sources": {ago(5): table(SOURCE_SCHEMA), AS_OF: SOURCES},
    "subscriptions": {
        ago(1): table(PAIR_SCHEMA, (2, 13), (2, 13)),  # twice the same row
        AS_OF: table(PAIR_SCHEMA, (2, 13), (1, 13)),  # user 1 followed 13 in the hold-out
    },
    "blocks": {ago(2): table(PAIR_SCHEMA, (1, 20)), ago(1): None},  # the newest is not finished
    "audience": {ago(3): table(pa.schema([("user_id", pa.int32())]), (1,), (1,), (9,))},
}
SNAPSHOTS: dict[str, Any] = {name: {"path": name} for name in FULL if name != "clicks"}


def rows(frame: DataFrame, *columns: str) -> list[Any]:
    """Sorted tuples of the columns (all without any given)."""
    return sorted(tuple(row) for row in frame.select(*(columns or frame.columns)).collect())


def build(spark: SparkSession, tables: Any, wanted: Settings) -> Features:
    """The features of AS_OF."""
    return build_features(wanted, AS_OF, FakeCatalog(spark, tables))


class ListingCatalog(FakeCatalog):
    """Counts how often the partitions of each dataset are looked for."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.listed = Counter[str]()

    def partitions(self, dataset: Dataset, days: Collection[dt.date]) -> DayPartitions:
        self.listed[dataset.path] += 1
        return super().partitions(dataset, days)


@pytest.fixture(scope="module")
def catalog(spark: SparkSession) -> ListingCatalog:
    """Every dataset there is."""
    return ListingCatalog(spark, FULL)


@pytest.fixture(scope="module")
def full(catalog: ListingCatalog) -> Features:
    """The features of every dataset there is."""
    return build_features(settings(**SNAPSHOTS), AS_OF, catalog)


def test_a_champion_has_interactions_of_its_own_window(spark: SparkSession) -> None:
    own, theirs = settings(), Recipe.of(settings()).model_copy(update={"windows": {"clicks": "4 days ago:today"}})
    features = build_features(own, AS_OF, FakeCatalog(spark, {"clicks": CLICKS}), theirs.applied_to(own))
    assert features.champion is not None
    pairs = {tuple(row) for row in features.champion.interactions.select("user_id", "source_id").collect()}
    own_pairs = {tuple(row) for row in features.interactions.select("user_id", "source_id").collect()}
    assert pairs - own_pairs == {(1, 14)}
    assert [len(record.days) for record in features.champion.inputs] == [4]


def test_a_champion_is_made_without_another_look_at_the_snapshots(
    spark: SparkSession, catalog: ListingCatalog, full: Features
) -> None:
    own = settings(**SNAPSHOTS)
    theirs = Recipe.of(own).model_copy(update={"half_life_days": 2.0}).applied_to(own)
    both = ListingCatalog(spark, FULL)
    built = build_features(own, AS_OF, both, theirs)
    assert (full.champion, built.champion is not None) == (None, True)
    alone = catalog.listed  # when `full` was made
    assert both.listed == alone + Counter({"clicks": alone["clicks"]})
    built.release()


def test_days_that_a_champion_lacks_are_a_reason_and_days_to_wait_for_are_waited_for(spark: SparkSession) -> None:
    theirs = Recipe.of(settings()).model_copy(update={"windows": {"clicks": "9 days ago:today"}})
    features = build_features(settings(), AS_OF, FakeCatalog(spark, {"clicks": CLICKS}), theirs.applied_to(settings()))
    assert features.champion is None
    assert str(ago(9)) in (features.champion_fault or "")
    patient = settings(events={"clicks": {"path": "clicks", "window": "3 days ago:today", "on_missing": "wait"}})
    with pytest.raises(NotArrivedError):
        build_features(patient, AS_OF, FakeCatalog(spark, {"clicks": CLICKS}), theirs.applied_to(patient))


def test_every_table_has_its_contract(full: Features) -> None:
    tables = {name: name for name in ("interactions", "exclusions", "sources", "audience", "holdout", "train_sources")}
    for name, kept in {**tables, "train_interactions": "interactions", "train_exclusions": "exclusions"}.items():
        schema = getattr(contract, kept)("int64")
        found = getattr(full, name).schema
        assert [(field.name, field.dataType) for field in found] == [
            (field.name, field.dataType) for field in spark_schema(schema)
        ]


def test_what_came_in_is_counted(full: Features) -> None:
    counts = full.counts
    found = {name: (one.day, one.erased + one.kept, one.users, one.eligible) for name, one in counts.snapshots.items()}
    assert found == {
        "sources": (AS_OF, 8, None, 4),  # eligible as of today, as the table of sources says
        "subscriptions": (AS_OF, 2, 2, None),
        "blocks": (ago(2), 1, 1, None),
        "audience": (ago(3), 3, 2, None),
    }
    assert counts.windows["clicks"].days == (ago(3), ago(2), ago(1))
    days = {record.day: (record.kept, record.users) for record in counts.days["clicks"]}
    assert days == {ago(4): (1, 1), ago(3): (2, 2), ago(2): (2, 1), ago(1): (5, 3)}


def test_days_that_a_run_before_has_read_are_counted_too(spark: SparkSession) -> None:
    catalog = FakeCatalog(spark, {"clicks": {**CLICKS, ago(5): events(ago(5), (1, 1, "like"))}})
    build_features(settings(), ago(1), catalog)
    counts = build_features(settings(), AS_OF, catalog).counts
    assert [record.day for record in counts.days["clicks"]] == [ago(5), ago(4), ago(3), ago(2), ago(1)]
    catalog.excluded = {"clicks": {ago(5): "half is lost"}}
    counts = build_features(settings(), AS_OF, catalog).counts
    assert [record.day for record in counts.days["clicks"]] == [ago(4), ago(3), ago(2), ago(1)]


def test_interactions_over_the_window(full: Features) -> None:
    # half-life of one day: 1/2 for day 1, 1/8 for day 3
    assert rows(full.interactions, "user_id", "source_id", "weight") == [
        (1, 11, 0.5 + 0.125),
        (1, 13, 0.5),
        (2, 11, 0.125),
        (2, 12, 0.5),
        (2, 15, 0.5),
    ]


def test_exclusions_know_why(full: Features) -> None:
    seen = [(1, 11), (1, 12), (1, 13), (2, 11), (2, 12), (2, 15), (3, 16)]
    expected = [(*pair, "seen") for pair in seen]
    expected += [(1, 13, "subscribed"), (2, 13, "subscribed"), (1, 20, "blocked"), (3, 11, "owned")]
    assert rows(full.exclusions) == sorted(expected)


def test_sources_and_who_may_be_recommended(full: Features) -> None:
    found = {row["source_id"]: row for row in full.sources.collect()}
    assert sorted(found) == [11, 12, 13, 15, 17, 18, 19, 20]
    assert sorted(source for source, row in found.items() if row["eligible"]) == [11, 12, 13, 20]
    assert tuple(found[11]) == (11, True, "music", 3, 2, 0.75)
    assert tuple(found[20]) == (20, True, "games", None, 0, 0.0)


def test_audience_once_each(full: Features) -> None:
    assert full.audience is not None
    assert rows(full.audience) == [(1,), (9,)]


def test_the_judged_recipe_ends_at_the_cut(full: Features) -> None:
    # ages count from the cut: day 2 is one day old, day 4 is three
    assert rows(full.train_interactions, "user_id", "source_id", "weight") == [
        (1, 11, 0.25),
        (1, 14, 0.125),
        (2, 11, 0.25),
    ]
    # subscriptions as of the cut: that user 1 follows 13 is not known yet
    assert (1, 13, "subscribed") not in rows(full.train_exclusions)
    assert (2, 13, "subscribed") in rows(full.train_exclusions)
    # the catalogue of the cut is empty: that of today stands in
    assert (3, 11, "owned") in rows(full.train_exclusions)


def test_the_judged_recipe_knows_the_sources_of_the_cut(full: Features) -> None:
    # the catalogue of the cut is empty: that of today stands in, but for what nobody engaged with before the cut
    known = rows(full.train_sources, "source_id", "eligible", "users", "weight")
    assert [row for row in known if row[1] or row[2]] == [(11, True, 2, 0.5), (14, False, 1, 0.125)]
    assert (20, False, 0, 0.0) in known  # created on the first held-out day


def test_sources_are_known_since_they_were_created_or_first_engaged_with(spark: SparkSession) -> None:
    dated = table(SOURCE_SCHEMA, (11, "active", None, None, EARLY), (12, "active", None, None, None))
    built = build(spark, FULL | {"sources": {ago(5): dated, AS_OF: SOURCES}}, settings(sources={"path": "sources"}))
    since = {row["source_id"]: row["since"] for row in built.train_sources.toArrow().to_pylist()}
    assert since[11] == EARLY.replace(tzinfo=dt.UTC)
    assert since[12] is None  # created who knows when, and nobody's interaction: user 1 liked it and left it
    assert since[14] == at(ago(4))
    built.release()


def test_the_holdout_is_new_positive_and_eligible(full: Features) -> None:
    # not (1, 11): seen before · not (2, 15): closed · not (3, 16): left, and not in the catalogue
    assert rows(full.holdout) == [(1, 13, 0.5), (2, 12, 0.5)]


def test_inputs_for_the_manifest(full: Features) -> None:
    records = {record.name: record for record in full.inputs}
    clicks = records["clicks"]
    assert (clicks.start, clicks.end) == (ago(3), AS_OF)
    assert [day.day for day in clicks.days] == [ago(4), ago(3), ago(2), ago(1)]
    assert clicks.judged_days == (ago(4), ago(3), ago(2))
    assert clicks.partials_rebuilt == (ago(4), ago(3), ago(2), ago(1))
    assert [(day.day, day.rows, day.erased, day.kept) for day in records["subscriptions"].days] == [
        (ago(1), 2, 0, 2),
        (AS_OF, 2, 0, 2),
    ]
    assert [(day.rows, day.kept) for day in clicks.days] == [(1, 1), (2, 2), (2, 2), (5, 5)]
    assert records["blocks"].unfinished == (ago(1),)
    assert records["sources"].model_validate_json(records["sources"].model_dump_json()) == records["sources"]


def test_excluded_days_are_in_the_manifest_and_no_measure_of_what_is_usual(spark: SparkSession) -> None:
    clicks = {ago(days): events(ago(days), (days, 5, "like")) for days in (1, 2, 3, 4)}
    catalog = FakeCatalog(spark, {"clicks": clicks})
    build_features(settings(), AS_OF, catalog).release()
    catalog.excluded = {"clicks": {ago(3): "by anna: half", ago(4): "by anna: half"}}
    clicks_of = {"path": "clicks", "window": "3 days ago:today", "on_missing": "shrink"}
    shrinking = settings(events={"clicks": clicks_of})
    built = build_features(shrinking, AS_OF, catalog)
    (record,) = built.inputs
    assert (record.excluded, record.missing) == ({ago(4): "by anna: half", ago(3): "by anna: half"}, ())
    assert [day.day for day in record.days] == [ago(2), ago(1)]
    assert [day.day for day in built.counts.days["clicks"]] == [ago(2), ago(1)]
    built.release()


def test_days_of_older_manifests_tell_what_was_counted_then() -> None:
    old = DayRecord.model_validate({"day": ago(1), "fingerprint": "f", "rows": 3, "bytes": 9, "ignored": 1})
    assert (old.ignored, old.erased, old.dropped, old.kept) == (1, 0, {}, None)


@pytest.mark.parametrize("name", ["subscriptions", "blocks", "audience", "sources"])
def test_a_snapshot_of_which_other_rows_are_read_than_its_footers_count_is_refused(
    spark: SparkSession, name: str
) -> None:
    catalog, wanted = FakeCatalog(spark, FULL, {1}), SnapshotDataset(path=name)
    plan = check_snapshot(plan_snapshot(name, wanted, AS_OF, catalog), wanted, "int64")
    (read,) = read_snapshots([SnapshotRead(plan, wanted, AS_OF)], "int64", catalog)
    assert read.erased + read.kept == plan.rows
    day, content = read.day, FULL[name][read.day]
    assert content is not None
    catalog.tables = {name: {day: pa.concat_tables([content, content.slice(0, 1)])}}
    with pytest.raises(BrokenPartitionError, match=rf"'{name}' \({name}\), dt={day}: .* {plan.rows} rows, and"):
        read_snapshots([SnapshotRead(plan, wanted, AS_OF)], "int64", catalog)


def test_one_event_dataset_and_nothing_else(spark: SparkSession) -> None:
    clicks = {ago(days): events(ago(days), (days, 5, "like")) for days in (1, 2, 3)}
    built = build(spark, {"clicks": clicks}, settings())
    assert built.audience is None
    assert rows(built.sources) == [(5, True, None, None, 3, 0.875)]
    assert built.inputs[0].judged_missing == (ago(4),)  # skipped, and said
    assert rows(built.train_interactions, "user_id") == [(2,), (3,)]


def test_a_judged_recipe_without_any_day(spark: SparkSession) -> None:
    wanted = settings(events={"clicks": {"path": "clicks", "window": "yesterday"}})
    built = build(spark, {"clicks": {ago(1): events(ago(1), (1, 5, "like"))}}, wanted)
    assert rows(built.train_interactions) == []
    assert rows(built.holdout, "user_id") == [(1,)]
    built.release()


@pytest.mark.parametrize(
    ("changes", "error", "told"),
    [
        ({"blocks": {AS_OF: table(PAIR_SCHEMA, (None, 1))}}, SnapshotError, "'blocks'.*1 rows without user_id"),
        ({"blocks": {ago(30): table(PAIR_SCHEMA)}}, SnapshotError, f"'blocks'.*there are: {ago(30)}.*max_age_days"),
        ({"subscriptions": {AS_OF: table(PAIR_SCHEMA)}}, SnapshotError, f"'subscriptions'.*dt={AS_OF} is empty"),
        ({"blocks": {ago(0): None}}, SnapshotError, f"'blocks'.*unfinished: {AS_OF}"),
        (
            {"sources": {AS_OF: pa.concat_tables([SOURCES, SOURCES.slice(0, 1)])}},
            SnapshotError,
            r"'sources'.*11 \(2 times\)",
        ),
        ({"audience": {AS_OF: pa.table({"user_id": ["a"]})}}, SchemaError, "'audience'.*'user_id' is string.*`ids`"),
        (
            {"sources": {AS_OF: pa.table({"source_id": [1], "owner_id": ["a"]})}},
            SchemaError,
            "'sources'.*'owner_id' is string",
        ),
        ({"blocks": {AS_OF: pa.table({"user": [1], "source_id": [1]})}}, SchemaError, "'blocks'.*near it: 'user'"),
        ({"clicks": {ago(1): CLICKS[ago(1)]}}, MissingDaysError, "'clicks'.*2 missing"),
    ],
)
def test_what_stops_a_run(spark: SparkSession, changes: Any, error: type[DiscoveryError], told: str) -> None:
    with pytest.raises(error, match=told) as raised:
        build(spark, FULL | changes, settings(**SNAPSHOTS))
    assert raised.value.exit_code != 0


def test_a_mapped_column_must_be_one_of_ours_and_there(spark: SparkSession) -> None:
    typo = {"path": "sources", "columns": {"statsu": "state"}}
    with pytest.raises(ConfigError, match=r"'statsu'.*known: source_id, status"):
        build(spark, FULL, settings(sources=typo))
    absent = {"path": "sources", "columns": {"status": "state"}}
    with pytest.raises(SchemaError, match="no column 'state', near it: 'status'"):
        build(spark, FULL, settings(sources=absent))


def test_a_catalogue_of_nothing_but_sources(spark: SparkSession) -> None:
    bare = {AS_OF: pa.table({"source_id": [11, 99]})}  # neither status nor created_at: all of it is eligible
    built = build(spark, FULL | {"sources": bare}, settings(sources={"path": "sources"}))
    assert rows(built.sources, "source_id", "eligible", "users") == [
        (11, True, 2),
        (12, False, 1),
        (13, False, 1),
        (15, False, 1),
        (99, True, 0),
    ]
    built.release()


def test_a_catalogue_with_other_types(spark: SparkSession) -> None:
    days = [ago(1), AS_OF]
    other = pa.table({"source_id": pa.array([11, 12], pa.int32()), "category": [7, 8], "created_at": days})
    built = build(spark, FULL | {"sources": {AS_OF: other}}, settings(sources={"path": "sources"}))
    known = built.sources.where("category IS NOT NULL")
    assert rows(known, "source_id", "category", "eligible") == [(11, "7", True), (12, "8", False)]
    built.release()
