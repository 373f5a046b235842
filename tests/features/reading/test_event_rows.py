"""Events one by one: names that count, amounts, rows that cannot be used, users who must be forgotten."""

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from conf.datasets import EventDataset
from conf.windows import Window
from features.errors import BadRowsError
from features.reading.dataset import plan_dataset
from features.reading.event_rows import EventDay, Events, read_events
from tests.features.fakes import FakeCatalog
from tests.features.world import AS_OF, EVENT_SCHEMA, ago, at, table

DWELL = EVENT_SCHEMA.append(pa.field("seconds", pa.float64()))
WINDOW = Window.parse("2 days ago:today", AS_OF)
NOON = at(ago(1))


def read(spark: SparkSession, clicks: pa.Table, dwell: pa.Table | None = None, **changes: Any) -> Events:
    """What is read of yesterday, without user 3; there are no clicks of the day before."""
    keys: dict[str, Any] = {"window": "2 days ago:today", "on_missing": "shrink", "ignore_events": ("ping",)} | changes
    datasets = {"clicks": EventDataset(path="clicks", **keys)}
    datasets["dwell"] = EventDataset.model_validate({"path": "dwell", **keys, "columns": {"weight": "seconds"}})
    tables = {"clicks": {ago(1): clicks}, "dwell": {} if dwell is None else {ago(1): dwell}}
    catalog = FakeCatalog(spark, tables, erased={3})
    plans = {name: plan_dataset(name, dataset, WINDOW, catalog) for name, dataset in datasets.items()}
    return read_events(datasets, plans, ["like", "watch"], "int64", catalog)


def test_known_names_are_kept_with_their_amounts_and_the_rest_is_counted(spark: SparkSession) -> None:
    clicks = table(EVENT_SCHEMA, *((user, 10, name, NOON) for user in (1, 3) for name in ("like", "ping", "new")))
    found = read(spark, clicks, table(DWELL, (1, 11, "watch", NOON, 2.5)))
    rows = sorted(tuple(row) for row in found.frame.collect())
    assert [(*row[:3], row[4]) for row in rows] == [(1, 10, "like", None), (1, 11, "watch", 2.5)]
    assert found.days == (
        EventDay("clicks", ago(1), rows=6, erased=3, ignored=1, unknown=1, dropped={}, kept=1),
        EventDay("dwell", ago(1), rows=1, erased=0, ignored=0, unknown=0, dropped={}, kept=1),
    )


def test_events_from_the_future_are_faults_within_the_budget_or_stop(spark: SparkSession) -> None:
    rows = [(1, 10, "like", NOON)] * 3 + [(1, 10, "like", NOON + dt.timedelta(days=1))]
    with pytest.raises(BadRowsError, match=r"1 of 4 rows are unusable.*time outside their partition's day"):
        read(spark, table(EVENT_SCHEMA, *rows))
    found = read(spark, table(EVENT_SCHEMA, *rows), bad_row_budget=0.25)
    assert (found.days[0].dropped, found.days[0].kept, found.frame.count()) == ({"ts_outside_day": 1}, 3, 3)
