"""Windows over datasets: gaps and policies, schemas, and rows that cannot be used."""

from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession

from conf.datasets import Columns, EventDataset
from conf.errors import ConfigError
from conf.windows import Window
from features.errors import (
    BadRowsError,
    BrokenPartitionError,
    FeaturesError,
    MissingDatasetError,
    MissingDaysError,
    SchemaError,
)
from features.partials import check_partials, daily_partials, valid_rows
from features.reading.dataset import DatasetPlan, check_window, enforce_policy, plan_dataset
from features.reading.rows import event_fields, read_rows
from features.reading.schema import check_fields
from features.survey import check_survey, survey_inputs
from tests.features.fakes import FakeCatalog
from tests.features.world import AS_OF, EVENT_SCHEMA, ago, at, dataset, days_of, events, settings, table

WINDOW = Window.parse("3 days ago:today", AS_OF)
FULL = events(ago(1), (1, 1, "like"))
EMPTY = events(ago(1))


def plan(spark: SparkSession, content: dict[Any, Any], **changes: Any) -> tuple[DatasetPlan, EventDataset]:
    """The plan of `clicks` over WINDOW, for {days ago: table}."""
    catalog = FakeCatalog(spark, {"clicks": days_of(content.items())})
    return plan_dataset("clicks", dataset(**changes), WINDOW, catalog), dataset(**changes)


def load(spark: SparkSession, day: pa.Table, **changes: Any) -> list[Any]:
    """Checked rows of yesterday as tuples."""
    return load_from(FakeCatalog(spark, {"clicks": {ago(1): day}}), **changes)


def load_from(catalog: FakeCatalog, **changes: Any) -> list[Any]:
    """Checked rows of yesterday, as a run reads them: of rows with one user, source and event the sum."""
    wanted = settings(events={"clicks": {"path": "clicks", "window": "yesterday", **changes}})
    (entry,) = check_survey(survey_inputs(wanted, AS_OF, catalog), wanted, catalog).events
    made = daily_partials("clicks", entry.dataset, entry.partitions, "int64", catalog)
    check_partials(made, entry.dataset, entry.days, wanted.interactions.event_weights)
    found = valid_rows(catalog.partials.read("clicks", entry.days, "int64"))
    return [tuple(row) for row in found.select("user_id", "source_id", "event", "amount").orderBy("user_id").collect()]


def test_a_plan_sorts_every_day_and_never_raises(spark: SparkSession) -> None:
    found, _ = plan(spark, {1: FULL, 2: EMPTY, 3: None, 4: FULL})
    assert [part.day for part in found.found] == [ago(1)]
    assert (found.missing, found.unfinished, found.empty) == ((), (ago(3),), (ago(2),))
    assert (found.gaps, found.rows) == ((ago(3), ago(2)), 1)
    assert plan(spark, {})[0].missing == WINDOW.days


@pytest.mark.parametrize("policy", ["fail", "wait", "shrink"])
@pytest.mark.parametrize("gap", ["missing", "unfinished", "empty"])
def test_one_day_missing_under_each_policy(spark: SparkSession, policy: str, gap: str) -> None:
    content = {1: FULL, 3: FULL} | {"missing": {}, "unfinished": {2: None}, "empty": {2: EMPTY}}[gap]
    found, clicks = plan(spark, content, on_missing=policy)
    if policy == "shrink":
        enforce_policy(found, clicks)
        return
    with pytest.raises(FeaturesError, match=rf"'clicks'.*{gap}.*{ago(2)}\.") as error:
        enforce_policy(found, clicks)
    assert error.value.exit_code == {"fail": 2, "wait": 75}[policy]


def test_shrink_has_a_limit(spark: SparkSession) -> None:
    found, clicks = plan(spark, {1: FULL}, on_missing="shrink", max_missing_days=1)
    with pytest.raises(MissingDaysError, match="At most 1 may be"):
        enforce_policy(found, clicks)
    enforce_policy(found, dataset(on_missing="shrink", max_missing_days=2))


@pytest.mark.parametrize("content", [{}, {1: EMPTY, 2: EMPTY, 3: EMPTY}, {9: FULL}])
@pytest.mark.parametrize(("policy", "code"), [("fail", 2), ("shrink", 2), ("wait", 75)])
def test_a_window_with_nothing_to_read_never_passes(
    spark: SparkSession, content: dict[int, pa.Table], policy: str, code: int
) -> None:
    found, clicks = plan(spark, content, on_missing=policy, max_missing_days=99)
    with pytest.raises(FeaturesError, match="nothing to read") as error:
        enforce_policy(found, clicks)
    assert error.value.exit_code == code


def test_a_missing_folder_raises(spark: SparkSession) -> None:
    with pytest.raises(MissingDatasetError, match="'clicks'"):
        plan_dataset("clicks", dataset(), WINDOW, FakeCatalog(spark, {}))


def test_a_window_ends_before_as_of() -> None:
    check_window("clicks", WINDOW, AS_OF)
    with pytest.raises(ConfigError, match='"today" or earlier'):
        check_window("clicks", Window(ago(1), ago(-1)), AS_OF)


@pytest.mark.parametrize(
    ("content", "changes", "told"),
    [
        ({"userid": pa.int64()}, {}, r"no column 'user_id', near it: 'userid'.*columns.user_id"),
        ({"user_id": pa.string()}, {}, "'user_id' is string, must be an integer.*`ids`"),
        ({"user_id": pa.uint64()}, {}, "'user_id' is uint64"),
        ({"user_id": pa.int32(), "ts": pa.string()}, {}, "'ts' is string, must be a timestamp"),
        ({"user_id": pa.int32(), "event": pa.int8()}, {}, "'event' is int8, must be a string"),
        ({"user_id": pa.int32()}, {"columns": {"weight": "seconds"}}, "no column 'seconds', there are: "),
        ({"user_id": pa.int32(), "q": pa.string()}, {"columns": {"weight": "q"}}, "'q' is string, must be a number"),
    ],
)
def test_columns_are_checked_before_any_row_is_read(
    spark: SparkSession, content: dict[str, pa.DataType], changes: dict[str, Any], told: str
) -> None:
    others = {"source_id": pa.int16(), "event": pa.string(), "ts": pa.timestamp("ms")}
    schema = pa.schema(others | content)
    row = table(schema, tuple(None for _ in schema.names))
    with pytest.raises(SchemaError, match=rf"'clicks'.*dt={ago(1)}.*{told}"):
        load(spark, row, **changes)


def test_wide_types_extra_and_mapped_columns_pass(spark: SparkSession) -> None:
    names = {"user_id": "player", "source_id": "deck.id", "event": "what", "ts": "when", "weight": "n"}
    schema = pa.schema(
        {
            "player": pa.int8(),
            "deck.id": pa.uint32(),
            "what": pa.dictionary(pa.int32(), pa.string()),
            "when": pa.timestamp("ns"),
            "n": pa.int16(),
            "extra": pa.binary(),
        }
    )
    day = pa.table([[3], [4], ["like"], [at(ago(1)).replace(tzinfo=None)], [2], [b"x"]], schema=schema)
    assert load(spark, day, columns=names) == [(3, 4, "like", 2.0)]


BAD_ROWS = table(
    EVENT_SCHEMA,
    (1, 1, "like", at(ago(1), 0)),  # sound: the first moment of the day
    (2, 1, "like", at(ago(1), 23)),  # sound
    (None, 1, "like", at(ago(1))),  # no user
    (4, None, "like", at(ago(1))),  # no source
    (5, 1, None, at(ago(1))),  # no event
    (6, 1, "like", None),  # no time
    (7, 1, "like", at(ago(0), 0)),  # the first moment of the next day
    (8, 1, "like", at(ago(2), 23)),  # the day before
)


def test_unusable_rows_stop_the_run_by_default(spark: SparkSession) -> None:
    with pytest.raises(BadRowsError, match=rf"'clicks'.*dt={ago(1)}: 6 of 8 rows.*75.000%.*1 without user_id") as error:
        load(spark, BAD_ROWS)
    assert "2 with a time outside their partition's day" in str(error.value)


def test_unusable_rows_within_the_budget_are_left_out(spark: SparkSession) -> None:
    assert load(spark, BAD_ROWS, bad_row_budget=0.75) == [(1, 1, "like", 1.0), (2, 1, "like", 1.0)]


class LosingCatalog(FakeCatalog):
    """Reads nothing of what its footers count."""

    def read(self, *asked: Any) -> DataFrame:
        return super().read(*asked).limit(0)


def test_a_day_of_which_other_rows_are_read_than_its_footers_count_is_refused(spark: SparkSession) -> None:
    catalog = LosingCatalog(spark, {"clicks": {ago(1): FULL}})
    with pytest.raises(BrokenPartitionError, match=rf"'clicks' \(clicks\), dt={ago(1)}: .* 1 rows, and 0 were read"):
        load_from(catalog)


def test_late_events_pass_where_dt_is_the_day_of_ingestion(spark: SparkSession) -> None:
    late = {"day_of": "ingestion", "lateness_days": 1, "bad_row_budget": 0.7}
    assert [user for user, *_ in load(spark, BAD_ROWS, **late)] == [1, 2, 8]


@pytest.mark.parametrize("weight", [None, float("nan"), float("inf"), -float("inf"), 1e12])
def test_a_weight_must_be_a_finite_number(spark: SparkSession, weight: float | None) -> None:
    schema = EVENT_SCHEMA.append(pa.field("n", pa.float64()))
    day = table(schema, (1, 1, "like", at(ago(1)), weight), (2, 1, "like", at(ago(1)), -1.5))
    assert load(spark, day, columns={"weight": "n"}, bad_row_budget=0.5) == [(2, 1, "like", -1.5)]


class Watched(Columns):
    """Columns of which two multiply the weight of an event."""

    dwell_ms: str | None = None

    @property
    def multipliers(self) -> dict[str, str]:
        return super().multipliers | ({} if self.dwell_ms is None else {"dwell_ms": self.dwell_ms})


def test_every_column_that_multiplies_weights_does_and_none_of_them_may_lack(spark: SparkSession) -> None:
    schema = EVENT_SCHEMA.append(pa.field("n", pa.int16())).append(pa.field("ms", pa.float32()))
    values = [(2, 1.5), (2, None), (None, 1.5), (2, 0.0), (2**15 - 1, 2.0**20)]
    day = table(schema, *((user, 1, "like", at(ago(1)), *value) for user, value in enumerate(values)))
    clicks = dataset().model_copy(update={"columns": Watched(weight="n", dwell_ms="ms")})
    catalog = FakeCatalog(spark, {"clicks": {ago(1): day}})
    (entry,) = catalog.partitions(clicks, [ago(1)]).finished
    assert [field.column for field in check_fields("clicks", event_fields(clicks, "int64"), [entry])][-2:] == [
        "n",
        "ms",
    ]
    rows = read_rows(clicks, [entry], "int64", catalog).orderBy("user_id").collect()
    assert [row["left_out"] for row in rows] == [None, "bad_weight", "bad_weight", None, "bad_weight"]
    assert [row["weight"] for row in rows][::3] == [3.0, 0.0]


def test_ignored_events_are_neither_read_nor_bad(spark: SparkSession) -> None:
    day = table(EVENT_SCHEMA, (None, None, "noise", None), (1, 1, "like", at(ago(1))))
    assert load(spark, day, ignore_events=("noise",)) == [(1, 1, "like", 1.0)]
