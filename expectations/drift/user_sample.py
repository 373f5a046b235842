"""Everything that a sample of the users did in five weeks, read in one job without a shuffle."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from conf.ids import IdKind
from conf.settings import Settings
from features.eligibility import ACTIVE
from features.hash_columns import MAX_HASH, hash_column, hash_limit
from features.partials import valid_rows
from features.reading.catalog import Catalog, PartialRecord
from features.reading.erasures import without_users
from features.reading.snapshots import Snapshot
from features.tables import union_of

Ints = NDArray[np.int64]

MOST_EVENTS = 2**18
"""Events of a dataset that are read, about; of more of them a smaller share of the users is sampled."""
MOST_ROWS = 2**18
"""Likewise rows of a snapshot."""
_HOUR_US = 3_600_000_000


@dataclass(frozen=True)
class Rows:
    """Sampled rows of an event dataset or a snapshot, in any order; ids are hashes (`hash_column`)."""

    limit: int
    """Largest hash of a user (of `sources`: of a source) that is sampled."""
    day: Ints
    """Days since the first; 0 for snapshots."""
    user: Ints
    """0 for `sources`."""
    source: Ints
    """For `audience` the user's segment."""
    number: Ints
    """Number of events; for `sources` 1 if it is active or has no status, else 0."""
    hour: Ints
    """UTC hour of the last event; 0 for snapshots."""
    amount: NDArray[np.float64]
    """Sum of weights; 0 for datasets without a weight column and snapshots."""
    labels: Mapping[int, str] = field(default_factory=dict)
    """For `audience` the name of each segment."""

    def where(self, chosen: NDArray[np.bool_]) -> "Rows":
        """Returns the chosen rows."""
        columns = (self.day, self.user, self.source, self.number, self.hour, self.amount)
        return Rows(self.limit, *(column[chosen] for column in columns))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Sample:
    """Rows of users; those that are sampled of one dataset are so of every dataset with a larger limit."""

    events: Mapping[str, Rows]
    """Event dataset → rows."""
    snapshots: Mapping[str, Rows]
    """`subscriptions`, `sources`, and `audience` if it has segments, as far as they are known."""


def read_sample(
    catalog: Catalog,
    settings: Settings,
    records: Mapping[str, Sequence[PartialRecord]],
    first: dt.date,
    snapshots: Mapping[str, Snapshot],
) -> Sample:
    """Returns the rows of sampled users in the recorded days; days are counted from `first`."""
    limits, frames = {}, {}
    for name, known in records.items():
        limits[name] = hash_limit(MOST_EVENTS / max(1, sum(record.kept for record in known)))
        days, dataset = [record.day for record in known], settings.datasets.events[name]
        weighed = bool(dataset.columns.multipliers)
        frames[name] = _events(catalog, name, days, settings.ids, first, limits[name], weighed=weighed)
    users = max(limits.values())
    for name, found in snapshots.items():
        limit = hash_limit(MOST_ROWS / max(found.kept, 1))
        limits[name] = limit if name == "sources" else min(limit, users)
        if (frame := _snapshot(name, found.frame, limits[name])) is not None:
            frames[name] = frame
    table = union_of([frame.select(sf.lit(i).alias("part"), "*") for i, frame in enumerate(frames.values())]).toArrow()
    part = table["part"].to_numpy()
    columns = {name: table[name].to_numpy() for name in table.column_names if name not in ("part", "label")}
    columns = {name: values if name == "amount" else values.astype(np.int64) for name, values in columns.items()}
    found_rows = {
        name: Rows(
            limits[name],
            **{column: values[part == i] for column, values in columns.items()},
            labels=_labels(table) if name == "audience" else {},
        )
        for i, name in enumerate(frames)
    }
    return Sample(
        {name: found_rows[name] for name in records}, {name: found_rows[name] for name in frames if name not in records}
    )


def _labels(table: pa.Table) -> Mapping[int, str]:
    """Returns source → label of the rows that have one."""
    named = table.select(["source", "label"]).filter(pc.is_valid(table["label"]))
    found = named.group_by(["source", "label"]).aggregate([])
    return {row["source"]: row["label"] for row in found.to_pylist()}


def _events(
    catalog: Catalog, name: str, days: Sequence[dt.date], ids: IdKind, first: dt.date, limit: int, *, weighed: bool
) -> DataFrame:
    rows = without_users(valid_rows(catalog.partials.read(name, days, ids)), catalog.erased)
    hour = sf.pmod(sf.floor(sf.unix_micros("last_ts") / sf.lit(_HOUR_US)), sf.lit(24))
    return _columns(
        _sampled(rows, "user_id", limit),
        day=sf.datediff("dt", sf.lit(first)),
        number=sf.col("events"),
        hour=hour,
        amount=sf.col("amount") if weighed else None,
    )


def _snapshot(name: str, rows: DataFrame, limit: int) -> DataFrame | None:
    """Returns the sampled rows of a snapshot; None for one that says nothing of the days."""
    if name == "sources":
        known = sf.col("status").cast("string") == ACTIVE if "status" in rows.columns else sf.lit(col=True)
        active = sf.coalesce(known, sf.lit(col=False)).cast("bigint")
        return _columns(_sampled(rows, "source_id", limit), user=None, number=active)
    if name == "subscriptions":
        return _columns(_sampled(rows, "user_id", limit))
    if name == "audience" and "segment" in rows.columns:
        return _columns(
            _sampled(rows.where("segment IS NOT NULL"), "user_id", limit), source="segment", label="segment"
        )
    return None


def _sampled(rows: DataFrame, column: str, limit: int) -> DataFrame:
    return rows if limit == MAX_HASH else rows.where(hash_column(sf.col(column)) <= limit)


def _columns(
    rows: DataFrame,
    *,
    day: Column | None = None,
    user: str | None = "user_id",
    source: str = "source_id",
    number: Column | None = None,
    hour: Column | None = None,
    amount: Column | None = None,
    label: str | None = None,
) -> DataFrame:
    """Returns the columns of `Rows`; those that are not given are constant. label: the name of its source."""
    return rows.select(
        (sf.lit(0) if day is None else day).cast("smallint").alias("day"),
        (sf.lit(0) if user is None else hash_column(sf.col(user))).cast("bigint").alias("user"),
        hash_column(sf.col(source)).alias("source"),
        (sf.lit(1) if number is None else number).cast("bigint").alias("number"),
        (sf.lit(0) if hour is None else hour).cast("tinyint").alias("hour"),
        (sf.lit(0) if amount is None else amount).cast("double").alias("amount"),
        (sf.lit(None) if label is None else sf.col(label)).cast("string").alias("label"),
    )
