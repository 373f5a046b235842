"""Reads event rows under our names and types, and finds the first fault of each."""

import datetime as dt
import math
from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from conf.datasets import DailyDataset, Dataset, EventDataset
from conf.ids import IdKind
from conf.surface import SURFACE_RULE
from features.errors import BadRowsError, BrokenPartitionError
from features.reading.catalog import Catalog, DayPartition
from features.reading.erasures import with_erased
from features.reading.ids import ID_FAULTS, id_faults
from features.reading.schema import NUMBER, TEXT, TIME, Field, id_field
from features.tables import quoted

DAY_US = 86_400_000_000
MIN_WEIGHT, MAX_WEIGHT = 2.0**-24, 2.0**30
"""Smallest and largest magnitude of a nonzero weight column; in between sums are exact enough."""

MAX_POSITION = 1000
"""Largest position in a list: that of `lists.n`."""

ERASED, IGNORED = "erased", "ignored"
"""Reasons to leave out a row without a fault: its user is erased, its event name is ignored."""

FAULTS = {
    **ID_FAULTS,
    "null_event": "without an event name",
    "not_utf8_event": "with an event name that is not UTF-8",
    "null_ts": "without a time",
    "ts_outside_day": "with a time outside their partition's day (see day_of and lateness_days)",
    "bad_weight": f"with a weight that is null, not finite or beyond ±{MAX_WEIGHT:.3g} (write it in a larger unit)",
    "weight_too_small": f"with a weight that is not 0 and within ±{MIN_WEIGHT:.3g} (write it in a smaller unit)",
    "bad_position": f"with a position beyond 1 … {MAX_POSITION:,} (the first place is 1; null: unknown)",
    "not_utf8_run": "with a run that is not UTF-8",
    "bad_surface": f"with a surface that is not {SURFACE_RULE}",
}
"""Faults of a row and how messages describe them; a row is left out for the first of ERASED, IGNORED, and these."""


def event_fields(dataset: EventDataset, ids: IdKind) -> tuple[Field, ...]:
    """Returns the columns that an event dataset must have."""
    names = dataset.columns
    fields = (
        id_field("user_id", names.user_id, ids),
        id_field("source_id", names.source_id, ids),
        Field("event", names.event, TEXT),
        Field("ts", names.ts, TIME),
    )
    return (*fields, *(Field(name, column, NUMBER) for name, column in names.multipliers.items()))


def read_rows(dataset: EventDataset, partitions: Sequence[DayPartition], ids: IdKind, catalog: Catalog) -> DataFrame:
    """Returns all rows: user_id, source_id, event, ts, weight, dt, and why each is left out (`left_out`).

    `left_out` is ERASED, IGNORED or a fault; null: the row is kept.
    """
    fields = event_fields(dataset, ids)
    raw = catalog.read(dataset, partitions, tuple(dict.fromkeys(field.column for field in fields)))
    rows = raw.select(*(quoted(field.column).alias(field.name) for field in fields), "dt")
    factors = (sf.col(name).cast("double") for name in dataset.columns.multipliers)
    marked = with_erased(rows, catalog.erased).withColumn("weight", math.prod(factors, start=sf.lit(1.0)))
    left_out = _left_out(dataset, ids).alias("left_out")
    return marked.select("user_id", "source_id", "event", "ts", "weight", "dt", left_out)


def faults_in(counts: Mapping[str | None, int]) -> dict[str, int]:
    """Returns the counts of faults among the counts of all reasons to leave rows out."""
    return {fault: count for fault, count in counts.items() if fault in FAULTS}


def check_all_read(name: str, dataset: Dataset, partition: DayPartition, read: int) -> None:
    """Raises BrokenPartitionError unless `read` equals the number of rows in the footers."""
    if read != partition.rows:
        raise BrokenPartitionError(
            f"dataset {name!r} ({dataset.path}), dt={partition.day}: the footers of its files count "
            f"{partition.rows:,} rows, and {read:,} were read: a file was replaced, added or removed meanwhile, or "
            "Spark does not find one by its name; write the day again, under plain names, and start again"
        )


def check_rows(name: str, dataset: DailyDataset, day: dt.date, rows: int, dropped: Mapping[str, int]) -> None:
    """Raises BadRowsError if a day has more unusable rows than `bad_row_budget` allows."""
    bad = sum(dropped.values())
    if bad <= dataset.bad_row_budget * rows:
        return
    kinds = ", ".join(f"{count:,} {FAULTS[fault]} ({fault})" for fault, count in sorted(dropped.items()))
    raise BadRowsError(
        f"dataset {name!r} ({dataset.path}), dt={day}: {bad:,} of {rows:,} rows are unusable ({bad / rows:.3%}), "
        f"allowed are {dataset.bad_row_budget:.3%} (bad_row_budget): {kinds}. Correct the export or raise the budget"
    )


def time_faults(dataset: DailyDataset) -> dict[str, Column]:
    """Returns fault → condition on `ts`, given the partition `dt`."""
    # Whole microseconds since 1970, independent of the session's time zone.
    lateness = dataset.lateness_days if dataset.day_of == "ingestion" else 0
    day, at = sf.unix_date("dt").cast("bigint"), sf.unix_micros("ts")
    outside = (at < (day - lateness) * DAY_US) | (at >= (day + 1) * DAY_US)
    return {"null_ts": sf.col("ts").isNull(), "ts_outside_day": outside}


def first_of(faults: Mapping[str, Column]) -> Column:
    """Returns the name of the first fault of a row; null: it has none."""
    return sf.coalesce(*(sf.when(broken, sf.lit(fault)) for fault, broken in faults.items()))


def _left_out(dataset: EventDataset, ids: IdKind) -> Column:
    ignored = sf.col("event").isin(*dataset.ignore_events)
    return sf.when(sf.col("erased"), sf.lit(ERASED)).when(ignored, sf.lit(IGNORED)).otherwise(_fault(dataset, ids))


def _fault(dataset: EventDataset, ids: IdKind) -> Column:
    weight = sf.col("weight")
    bad_weight = weight.isNull() | sf.isnan(weight) | (sf.abs(weight) > MAX_WEIGHT)
    faults = {**id_faults("user_id", ids), **id_faults("source_id", ids)}
    faults |= {"null_event": sf.col("event").isNull(), "not_utf8_event": ~sf.is_valid_utf8("event")}
    faults |= {**time_faults(dataset), "bad_weight": bad_weight}
    faults |= {"weight_too_small": (sf.abs(weight) < MIN_WEIGHT) & (weight != 0)}
    return first_of(faults)
