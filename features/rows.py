"""Reading rules of event rows: ours by name and type, and the first thing that is wrong with each."""

import datetime as dt
from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from conf.contract import IdKind
from conf.datasets import EventDataset
from features.catalog import Catalog, Partition
from features.erasures import without_users
from features.errors import BadRowsError
from features.schema import NUMBER, TEXT, TIME, Field, id_field, quoted

DAY_US = 86_400_000_000
MAX_WEIGHT = 2.0**30
"""Largest magnitude of a weight column: beyond it the fixed-point sums would soon overflow."""

FAULTS = {
    "null_user_id": "without a user",
    "null_source_id": "without a source",
    "null_event": "without an event name",
    "null_ts": "without a time",
    "ts_outside_day": "with a time outside their partition's day (see day_of and lateness_days)",
    "bad_weight": f"with a weight that is null, not finite or beyond ±{MAX_WEIGHT:g}",
}
"""Faults of a row, the first that applies counts, and what they mean."""


def event_fields(dataset: EventDataset, ids: IdKind) -> tuple[Field, ...]:
    """The columns that an event dataset must have."""
    names = dataset.columns
    fields = (
        id_field("user_id", names.user_id, ids),
        id_field("source_id", names.source_id, ids),
        Field("event", names.event, TEXT),
        Field("ts", names.ts, TIME),
    )
    return fields if names.weight is None else (*fields, Field("weight", names.weight, NUMBER))


def read_rows(dataset: EventDataset, partitions: Sequence[Partition], ids: IdKind, catalog: Catalog) -> DataFrame:
    """Rows but ignored events and erased users: user_id, source_id, event, ts, weight, dt, fault (null: sound)."""
    fields = event_fields(dataset, ids)
    raw = catalog.read(dataset, partitions, tuple(dict.fromkeys(field.column for field in fields)))
    rows = raw.select(*(quoted(field.column).alias(field.name) for field in fields), "dt")
    rows = without_users(rows, catalog.erased)
    weight = sf.col("weight").cast("double") if dataset.columns.weight is not None else sf.lit(1.0)
    rows = rows.withColumn("weight", weight)
    if dataset.ignore_events:
        rows = rows.where(sf.col("event").isNull() | ~sf.col("event").isin(*dataset.ignore_events))
    return rows.select("user_id", "source_id", "event", "ts", "weight", "dt", _fault(dataset).alias("fault"))


def count_faults(rows: DataFrame) -> dict[dt.date, dict[str, int]]:
    """Day → fault → rows of `read_rows`, in one pass."""
    counts = rows.where("fault IS NOT NULL").groupBy("dt", "fault").count().collect()
    faults: dict[dt.date, dict[str, int]] = {}
    for row in counts:
        faults.setdefault(row["dt"], {})[row["fault"]] = row["count"]
    return faults


def check_rows(name: str, dataset: EventDataset, day: dt.date, rows: int, dropped: Mapping[str, int]) -> None:
    """Raises BadRowsError when more of a day's rows are unusable than `bad_row_budget` says."""
    bad = sum(dropped.values())
    if bad <= dataset.bad_row_budget * rows:
        return
    kinds = ", ".join(f"{count:,} {FAULTS[fault]} ({fault})" for fault, count in sorted(dropped.items()))
    raise BadRowsError(
        f"dataset {name!r} ({dataset.path}), dt={day}: {bad:,} of {rows:,} rows are unusable ({bad / rows:.3%}), "
        f"allowed are {dataset.bad_row_budget:.3%} (bad_row_budget): {kinds}. Correct the export or raise the budget"
    )


def _fault(dataset: EventDataset) -> Column:
    # Whole microseconds since 1970: the answer does not depend on the session's time zone.
    lateness = dataset.lateness_days if dataset.day_of == "ingestion" else 0
    day, at = sf.unix_date("dt").cast("bigint"), sf.unix_micros("ts")
    outside = (at < (day - lateness) * DAY_US) | (at >= (day + 1) * DAY_US)
    weight = sf.col("weight")
    bad_weight = weight.isNull() | sf.isnan(weight) | (sf.abs(weight) > MAX_WEIGHT)
    faults: dict[str, Column] = {f"null_{column}": sf.col(column).isNull() for column in _NEVER_NULL}
    faults |= {"ts_outside_day": outside, "bad_weight": bad_weight}
    return sf.coalesce(*(sf.when(broken, sf.lit(fault)) for fault, broken in faults.items()))


_NEVER_NULL = ("user_id", "source_id", "event", "ts")
