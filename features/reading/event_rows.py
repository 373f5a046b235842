"""Reads the events of all datasets over planned days, one row per event, for what counts them one by one."""

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

from conf.datasets import EventDataset
from conf.ids import IdKind
from features.reading.catalog import Catalog, DayPartition
from features.reading.dataset import DatasetPlan
from features.reading.rows import ERASED, IGNORED, check_all_read, check_rows, event_fields, faults_in, read_rows
from features.reading.schema import check_fields
from features.tables import union_of

_UNKNOWN = "unknown"


@dataclass(frozen=True)
class EventDay:
    """What was read of one day of a dataset."""

    dataset: str
    day: dt.date
    rows: int
    """Raw rows; the sum of erased, ignored, unknown, dropped and kept."""
    erased: int
    ignored: int
    unknown: int
    """Rows with an event name that is neither weighed nor ignored."""
    dropped: Mapping[str, int]
    """Fault → rows dropped for it."""
    kept: int


@dataclass(frozen=True)
class Events:
    """The events of a window, and what was left out of it."""

    frame: DataFrame
    """user_id, source_id, event, ts, amount (null: of a dataset without a weight column); read lazily."""
    days: tuple[EventDay, ...]


def read_events(
    datasets: Mapping[str, EventDataset],
    plans: Mapping[str, DatasetPlan],
    names: Collection[str],
    ids: IdKind,
    catalog: Catalog,
) -> Events:
    """Returns the events called one of `names`; the rows are read once to count them, before any is used.

    Of at least one dataset something was found. Raises SchemaError, BrokenPartitionError if the number of rows differs
    from the footers', and BadRowsError for a day with more unusable rows than its dataset's `bad_row_budget` allows.
    """
    frames = []
    for name, dataset in datasets.items():
        found = plans[name].found
        if not found:
            continue
        check_fields(name, event_fields(dataset, ids), found)
        rows = read_rows(dataset, found, ids, catalog).withColumn("dataset", sf.lit(name))
        unknown = sf.when(~sf.col("event").isin(*sorted(names)), sf.lit(_UNKNOWN))
        amount = sf.col("weight") if dataset.columns.multipliers else sf.lit(None).cast("double")
        frames.append(rows.withColumns({"left_out": sf.coalesce("left_out", unknown), "amount": amount}))
    every = union_of(frames)
    counts: dict[tuple[str, dt.date], dict[str | None, int]] = {}
    for row in every.groupBy("dataset", "dt", "left_out").count().collect():
        counts.setdefault((row["dataset"], row["dt"]), {})[row["left_out"]] = row["count"]
    days = tuple(
        _checked(name, dataset, partition, counts.get((name, partition.day), {}))
        for name, dataset in datasets.items()
        for partition in plans[name].found
    )
    return Events(every.where("left_out IS NULL").select("user_id", "source_id", "event", "ts", "amount"), days)


def _checked(name: str, dataset: EventDataset, partition: DayPartition, counts: Mapping[str | None, int]) -> EventDay:
    check_all_read(name, dataset, partition, sum(counts.values()))
    day = EventDay(
        dataset=name,
        day=partition.day,
        rows=partition.rows,
        erased=counts.get(ERASED, 0),
        ignored=counts.get(IGNORED, 0),
        unknown=counts.get(_UNKNOWN, 0),
        dropped=faults_in(counts),
        kept=counts.get(None, 0),
    )
    check_rows(name, dataset, day.day, day.rows, day.dropped)
    return day
