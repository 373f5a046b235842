"""Snapshot datasets: the newest partition before or on a day is what is true then."""

import datetime as dt
from dataclasses import dataclass, replace

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from conf.contract import IdKind
from conf.datasets import SnapshotDataset
from conf.errors import ConfigError
from conf.windows import Window
from features.eligibility import eligible_column
from features.errors import SnapshotError
from features.placement import count_users
from features.reading.catalog import Catalog
from features.reading.dataset import DatasetPlan, say_misnamed
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
"""Of the others an empty table is a failed export, and would let through what lists must not hold."""
_LABELS = {"status": LABEL, "category": LABEL, "created_at": MOMENT}


def snapshot_fields(name: str, dataset: SnapshotDataset, ids: IdKind) -> tuple[Field, ...]:
    """Returns the columns a snapshot must or may have; one that `columns` names must be there; raises ConfigError."""
    optional = ("status", "category", "owner_id", "created_at") if name == "sources" else ()
    known = (*REQUIRED[name], *optional)
    if unknown := sorted(dataset.columns.keys() - set(known)):
        raise ConfigError(f"datasets.{name}.columns: {unknown[0]!r} is not one of ours; known: {', '.join(known)}")
    return tuple(_field(our, dataset, ids, required=our not in optional or our in dataset.columns) for our in known)


def plan_snapshot(name: str, dataset: SnapshotDataset, as_of: dt.date, catalog: Catalog) -> DatasetPlan:
    """Returns the newest finished partition of the last `max_age_days`, if any, as the one found; older ones are not
    opened.
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
    """Returns whether the plan found a partition that can be what is true."""
    return bool(plan.found) and (plan.rows > 0 or plan.name in MAY_BE_EMPTY)


def enforce_snapshot(plan: DatasetPlan, dataset: SnapshotDataset, catalog: Catalog) -> None:
    """Raises SnapshotError when no partition is young enough, or the newest is empty and must not be."""
    if usable(plan):
        return
    if plan.found:
        raise SnapshotError(
            f"dataset {plan.name!r} ({dataset.path}), dt={plan.found[0].day} is empty: its export failed; "
            "let it run again, or leave the dataset out of the settings if there is nothing to tell yet"
        )
    there = [str(day) for day in catalog.days(dataset)]
    misnamed = catalog.partitions(dataset, plan.window.days).misnamed
    raise SnapshotError(
        f"dataset {plan.name!r} ({dataset.path}) has no finished partition in {plan.window}; there are: "
        f"{', '.join(there[-5:]) or 'none'}; unfinished: {', '.join(map(str, plan.unfinished)) or 'none'}. "
        f"{say_misnamed(misnamed)}Let its export run, or raise max_age_days (now {dataset.max_age_days})"
    )


def check_snapshot(plan: DatasetPlan, dataset: SnapshotDataset, ids: IdKind) -> DatasetPlan:
    """Returns the plan with the columns that all its files have; raises ConfigError and SchemaError."""
    return replace(plan, fields=check_fields(plan.name, snapshot_fields(plan.name, dataset, ids), plan.found))


@dataclass(frozen=True)
class Snapshot:
    """The content of a partition, and how much of it was read."""

    day: dt.date
    frame: DataFrame
    """Under our names, without erased users; an optional column that the partition lacks is not there."""
    erased: int
    """Rows of erased users."""
    kept: int
    """All other rows."""
    users: int | None = None
    """Distinct users, erased ones included, within 2 %; None of the sources."""
    eligible: int | None = None
    """Sources that may be recommended as of the day asked for; None of other snapshots."""


def read_snapshot(
    plan: DatasetPlan, dataset: SnapshotDataset, as_of: dt.date, ids: IdKind, catalog: Catalog
) -> Snapshot:
    """Returns the partition found of a plan that was checked, as of a day; its rows are counted in one pass.

    Raises SnapshotError for unusable ids or a source that occurs twice, and BrokenPartitionError where
    other rows are read than the footers count.
    """
    raw = catalog.read(dataset, plan.found, tuple(dict.fromkeys(field.column for field in plan.fields)))
    rows = raw.select(*(quoted(field.column).alias(field.name) for field in plan.fields))
    (partition,) = plan.found
    if plan.name == "sources":  # erased users are no rows here, but owners
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
    """Returns rows erased and kept, and `more`, in one pass, in which unusable ids are looked for too."""
    faults = {fault: broken for column in REQUIRED[plan.name] for fault, broken in id_faults(column, ids).items()}
    if "owner_id" in marked.columns:
        faults |= id_faults("owner_id", ids)
        del faults["null_owner_id"]  # which is what says that nobody owns the source
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
    """Which of two rows about a source is right cannot be known, and a guess could recommend a closed one."""
    twice = rows.groupBy("source_id").count().where("count > 1").orderBy("source_id").limit(5).collect()
    if twice:
        examples = ", ".join(f"{row['source_id']!r} ({row['count']} times)" for row in twice)
        raise SnapshotError(
            f"dataset {plan.name!r}, dt={plan.found[0].day}: sources occur more than once, e.g. {examples}; "
            "write one row per source"
        )
