"""Reads snapshot datasets: the newest partition on or before a day is the state of that day."""

import datetime as dt
from dataclasses import dataclass, replace

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from conf.datasets import SnapshotDataset
from conf.errors import ConfigError
from conf.ids import IdKind
from conf.windows import Window
from features.eligibility import eligible_column
from features.errors import SnapshotError
from features.hash_columns import count_users
from features.reading.catalog import Catalog
from features.reading.dataset import DatasetPlan, misnamed_hint
from features.reading.erasures import with_erased, without_owners
from features.reading.ids import ID_FAULTS, id_faults
from features.reading.rows import check_all_read
from features.reading.schema import LABEL, MOMENT, Field, check_fields, id_field
from features.tables import quoted

REQUIRED = {
    "subscriptions": ("user_id", "source_id"),
    "sources": ("source_id",),
    "blocks": ("user_id", "source_id"),
    "audience": ("user_id",),
}
"""Columns that each snapshot must have and that are never null."""
MAY_BE_EMPTY = ("blocks",)
"""In the other snapshots an empty table means a failed export, and would let forbidden sources into lists."""
_LABELS = {"status": LABEL, "category": LABEL, "created_at": MOMENT}


def snapshot_fields(name: str, dataset: SnapshotDataset, ids: IdKind) -> tuple[Field, ...]:
    """Returns the required and optional columns of a snapshot; one named in `columns` is required.

    Raises ConfigError for unknown names in `columns`.
    """
    optional = ("status", "category", "owner_id", "created_at") if name == "sources" else ()
    known = (*REQUIRED[name], *optional)
    if unknown := sorted(dataset.columns.keys() - set(known)):
        raise ConfigError(f"datasets.{name}.columns: {unknown[0]!r} is not one of ours; known: {', '.join(known)}")
    return tuple(_field(our, dataset, ids, required=our not in optional or our in dataset.columns) for our in known)


def plan_snapshot(name: str, dataset: SnapshotDataset, as_of: dt.date, catalog: Catalog) -> DatasetPlan:
    """Returns a plan with the newest finished partition of the last `max_age_days`, if any.

    Older partitions are not opened.
    """
    window = Window(as_of - dt.timedelta(days=dataset.max_age_days), as_of + dt.timedelta(days=1))
    unfinished: list[dt.date] = []
    for day in reversed([day for day in catalog.days(dataset) if day in window]):
        parts = catalog.partitions(dataset, (day,))
        unfinished += parts.unfinished
        if parts.finished:
            empty = tuple(partition.day for partition in parts.finished if partition.rows == 0)
            return DatasetPlan(name, window, parts.finished, (), tuple(unfinished), empty)
    return DatasetPlan(name, window, (), (), tuple(unfinished), ())


def usable(plan: DatasetPlan) -> bool:
    """Returns whether the plan found a partition that can be used."""
    return bool(plan.found) and (plan.rows > 0 or plan.name in MAY_BE_EMPTY)


def enforce_snapshot(plan: DatasetPlan, dataset: SnapshotDataset, catalog: Catalog) -> None:
    """Raises SnapshotError if no partition is young enough, or the newest is empty and must not be."""
    if usable(plan):
        return
    if plan.found:
        raise SnapshotError(
            f"dataset {plan.name!r} ({dataset.path}), dt={plan.found[0].day} is empty: its export failed; "
            "let it run again, or leave the dataset out of the settings if there are no data yet"
        )
    there = [str(day) for day in catalog.days(dataset)]
    misnamed = catalog.partitions(dataset, plan.window.days).misnamed
    raise SnapshotError(
        f"dataset {plan.name!r} ({dataset.path}) has no finished partition in {plan.window}; there are: "
        f"{', '.join(there[-5:]) or 'none'}; unfinished: {', '.join(map(str, plan.unfinished)) or 'none'}. "
        f"{misnamed_hint(misnamed)}Let its export run, or raise max_age_days (now {dataset.max_age_days})"
    )


def check_snapshot(plan: DatasetPlan, dataset: SnapshotDataset, ids: IdKind) -> DatasetPlan:
    """Returns the plan with the columns that all its files have; raises ConfigError and SchemaError."""
    return replace(plan, fields=check_fields(plan.name, snapshot_fields(plan.name, dataset, ids), plan.found))


@dataclass(frozen=True)
class Snapshot:
    """The content of a partition with its counts."""

    day: dt.date
    frame: DataFrame
    """Under our names, without erased users; lacks optional columns that the partition lacks."""
    erased: int
    """Rows of erased users."""
    kept: int
    """All other rows."""
    users: int | None = None
    """Distinct users, erased ones included, within 2 %; None for `sources`."""
    eligible: int | None = None
    """Sources that may be recommended on the requested day; None for other snapshots."""


def read_snapshot(
    plan: DatasetPlan, dataset: SnapshotDataset, as_of: dt.date, ids: IdKind, catalog: Catalog
) -> Snapshot:
    """Returns the partition of a checked plan, as of a day; its rows are counted in one pass.

    Raises SnapshotError for unusable ids or a source that occurs twice, and BrokenPartitionError if the number of rows
    differs from the footers'.
    """
    raw = catalog.read(dataset, plan.found, tuple(dict.fromkeys(field.column for field in plan.fields)))
    rows = raw.select(*(quoted(field.column).alias(field.name) for field in plan.fields))
    (partition,) = plan.found
    if plan.name == "sources":  # here users are owners, not rows
        eligible = sf.count_if(eligible_column(rows, as_of)).alias("eligible")
        counts = _count(plan, dataset, ids, rows.withColumn("erased", sf.lit(col=False)), eligible)
        _refuse_duplicates(plan, rows)
        return Snapshot(partition.day, without_owners(rows, catalog.erased), **counts)
    marked = with_erased(rows, catalog.erased)
    counts = _count(plan, dataset, ids, marked, count_users().alias("users"))
    return Snapshot(partition.day, marked.where("NOT erased").drop("erased"), **counts)


def _field(our: str, dataset: SnapshotDataset, ids: IdKind, *, required: bool) -> Field:
    column = dataset.columns.get(our, our)
    if our in _LABELS:
        return Field(our, column, _LABELS[our], required)
    return id_field(our, column, ids, required=required)


def _count(plan: DatasetPlan, dataset: SnapshotDataset, ids: IdKind, marked: DataFrame, more: Column) -> dict[str, int]:
    """Returns the numbers of erased and kept rows, and `more`, in one pass; raises SnapshotError for unusable ids."""
    faults = {fault: broken for column in REQUIRED[plan.name] for fault, broken in id_faults(column, ids).items()}
    if "owner_id" in marked.columns:
        faults |= id_faults("owner_id", ids)
        del faults["null_owner_id"]  # a source may have no owner
    found = marked.agg(
        more,
        sf.count_if("erased").alias("erased"),
        sf.count_if(~sf.col("erased")).alias("kept"),
        *(sf.count_if(broken).alias(fault) for fault, broken in faults.items()),
    )
    counts = found.collect()[0].asDict()
    check_all_read(plan.name, dataset, plan.found[0], counts["erased"] + counts["kept"])
    if lacking := ", ".join(f"{counts[fault]:,} rows {ID_FAULTS[fault]}" for fault in faults if counts[fault]):
        raise SnapshotError(f"dataset {plan.name!r}, dt={plan.found[0].day}: {lacking}; correct its export")
    return {name: counts[name] for name in counts if name not in faults}


def _refuse_duplicates(plan: DatasetPlan, rows: DataFrame) -> None:
    """Raises SnapshotError if a source has several rows: choosing one could recommend a closed source."""
    twice = rows.groupBy("source_id").count().where("count > 1").orderBy("source_id").limit(5).collect()
    if twice:
        examples = ", ".join(f"{row['source_id']!r} ({row['count']} times)" for row in twice)
        raise SnapshotError(
            f"dataset {plan.name!r}, dt={plan.found[0].day}: sources occur more than once, e.g. {examples}; "
            "write one row per source"
        )
