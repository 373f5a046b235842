"""Reads snapshot datasets: the newest partition on or before a day is the state of that day."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as sf

from conf.datasets import SnapshotDataset
from conf.errors import ConfigError
from conf.ids import IdKind
from conf.windows import Window
from features.eligibility import eligible_column
from features.errors import SnapshotError
from features.hash_columns import count_users
from features.reading.catalog import Catalog
from features.reading.dataset import DatasetPlan, excluded_text, misnamed_hint
from features.reading.erasures import with_erased, without_owners
from features.reading.ids import ID_FAULTS, id_faults
from features.reading.rows import check_all_read
from features.reading.schema import LABEL, MOMENT, Field, check_fields, id_field
from features.reading.snapshot_traits import Traits, trait_columns, traits_of
from features.tables import quoted, union_of

REQUIRED = {
    "subscriptions": ("user_id", "source_id"),
    "sources": ("source_id",),
    "blocks": ("user_id", "source_id"),
    "audience": ("user_id",),
}
"""Columns that each snapshot must have and that are never null."""
MAY_BE_EMPTY = ("blocks",)
"""In the other snapshots an empty table means a failed export, and would let forbidden sources into lists."""
_LABELS = {"status": LABEL, "category": LABEL, "created_at": MOMENT, "segment": LABEL}


def snapshot_fields(name: str, dataset: SnapshotDataset, ids: IdKind) -> tuple[Field, ...]:
    """Returns the required and optional columns of a snapshot; one named in `columns` is required.

    Raises ConfigError for unknown names in `columns`.
    """
    optional: tuple[str, ...] = ("status", "category", "owner_id", "created_at") if name == "sources" else ()
    if name == "audience" and "segment" in dataset.columns:
        optional = ("segment",)
    known = (*REQUIRED[name], *optional)
    if unknown := sorted(dataset.columns.keys() - set(known)):
        ours = (*known, "segment") if name == "audience" and not optional else known
        raise ConfigError(f"datasets.{name}.columns: {unknown[0]!r} is not one of ours; known: {', '.join(ours)}")
    return tuple(_field(our, dataset, ids, required=our not in optional or our in dataset.columns) for our in known)


def plan_snapshot(name: str, dataset: SnapshotDataset, as_of: dt.date, catalog: Catalog) -> DatasetPlan:
    """Returns a plan with the newest finished partition of the last `max_age_days`, if any.

    Older partitions are not opened, nor are those that an operator excluded.
    """
    window = Window(as_of - dt.timedelta(days=dataset.max_age_days), as_of + dt.timedelta(days=1))
    unfinished, excluded = list[dt.date](), dict[dt.date, str]()
    for day in reversed([day for day in catalog.days(dataset) if day in window]):
        parts = catalog.partitions(dataset, (day,))
        unfinished += parts.unfinished
        excluded |= parts.excluded
        if parts.finished:
            empty = tuple(partition.day for partition in parts.finished if partition.rows == 0)
            return DatasetPlan(name, window, parts.finished, (), tuple(unfinished), empty, excluded)
    return DatasetPlan(name, window, (), (), tuple(unfinished), (), excluded)


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
        f"{', '.join(there[-5:]) or 'none'}; unfinished: {', '.join(map(str, plan.unfinished)) or 'none'}"
        f"{f'; excluded: {excluded_text(plan.excluded)}' if plan.excluded else ''}. "
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
    fingerprint: str = ""
    """Fingerprint of the partition."""
    traits: Traits = field(default_factory=Traits)


@dataclass(frozen=True)
class SnapshotRead:
    """What is read of a snapshot: the partition of a checked plan, as of a day."""

    plan: DatasetPlan
    dataset: SnapshotDataset
    as_of: dt.date


def read_snapshots(wanted: Sequence[SnapshotRead], ids: IdKind, catalog: Catalog) -> list[Snapshot]:
    """Returns the partitions; the rows of all of them are counted in one job.

    Raises SnapshotError for unusable ids or a source that occurs twice, and BrokenPartitionError if the number of rows
    differs from the footers'.
    """
    opened = [_open(one, ids, catalog) for one in wanted]
    if not opened:
        return []
    counted = union_of([part.counts.select(sf.lit(i).alias("place"), "*") for i, part in enumerate(opened)]).collect()
    counts = {row["place"]: row for row in counted}
    return [_snapshot(one, part, counts[i], ids) for i, (one, part) in enumerate(zip(wanted, opened, strict=True))]


@dataclass(frozen=True)
class _Opened:
    """A partition that is not yet counted."""

    frame: DataFrame
    """Without erased users."""
    counts: DataFrame
    """One row: its counts, and examples of sources that occur more than once, both as JSON."""


def _open(wanted: SnapshotRead, ids: IdKind, catalog: Catalog) -> _Opened:
    plan = wanted.plan
    raw = catalog.read(wanted.dataset, plan.found, tuple(dict.fromkeys(field.column for field in plan.fields)))
    rows = raw.select(*(quoted(field.column).alias(field.name) for field in plan.fields))
    if plan.name == "sources":  # here users are owners, not rows
        known = without_owners(rows, catalog.erased)
        eligible = sf.count_if(eligible_column(rows, wanted.as_of)).alias("eligible")
        counts = _counts(plan, known.withColumn("erased", sf.lit(col=False)), ids, eligible)
        return _Opened(known, counts.crossJoin(_twice(rows)))
    marked = with_erased(rows, catalog.erased)
    counts = _counts(plan, marked, ids, count_users().alias("users"))
    return _Opened(marked.where("NOT erased").drop("erased"), counts.withColumn("twice", sf.lit(None).cast("string")))


def _snapshot(wanted: SnapshotRead, opened: _Opened, row: Row, ids: IdKind) -> Snapshot:
    plan, counts = wanted.plan, json.loads(row["counts"])
    (partition,) = plan.found
    check_all_read(plan.name, wanted.dataset, partition, counts["erased"] + counts["kept"])
    _refuse_faults(plan, {fault: counts.pop(fault) for fault in _faults(plan, ids)})
    _refuse_duplicates(plan, json.loads(row["twice"] or "[]"))
    traits = traits_of(counts, plan.rows)
    return Snapshot(partition.day, opened.frame, fingerprint=partition.fingerprint, traits=traits, **counts)


def _field(our: str, dataset: SnapshotDataset, ids: IdKind, *, required: bool) -> Field:
    column = dataset.columns.get(our, our)
    if our in _LABELS:
        return Field(our, column, _LABELS[our], required)
    return id_field(our, column, ids, required=required)


def _faults(plan: DatasetPlan, ids: IdKind) -> dict[str, Column]:
    """Returns fault → condition; one row may have several."""
    faults = {fault: broken for column in REQUIRED[plan.name] for fault, broken in id_faults(column, ids).items()}
    if any(field.name == "owner_id" for field in plan.fields):
        faults |= id_faults("owner_id", ids)
        del faults["null_owner_id"]  # a source may have no owner
    return faults


def _counts(plan: DatasetPlan, marked: DataFrame, ids: IdKind, more: Column) -> DataFrame:
    """Returns one row with `counts`: JSON of the numbers of erased and kept rows, of faults, traits, and `more`."""
    counts = marked.agg(
        more,
        sf.count_if("erased").alias("erased"),
        sf.count_if(~sf.col("erased")).alias("kept"),
        *(sf.count_if(broken).alias(fault) for fault, broken in _faults(plan, ids).items()),
        *trait_columns(marked, plan.rows),
    )
    return counts.select(sf.to_json(sf.struct("*")).alias("counts"))


def _twice(rows: DataFrame) -> DataFrame:
    """Returns one row with `twice`: JSON of the first sources that have several rows."""
    found = rows.groupBy("source_id").count().where("count > 1").orderBy("source_id").limit(5)
    return found.agg(sf.to_json(sf.sort_array(sf.collect_list(sf.struct("source_id", "count")))).alias("twice"))


def _refuse_faults(plan: DatasetPlan, counts: Mapping[str, int]) -> None:
    if lacking := ", ".join(f"{count:,} rows {ID_FAULTS[fault]}" for fault, count in counts.items() if count):
        raise SnapshotError(f"dataset {plan.name!r}, dt={plan.found[0].day}: {lacking}; correct its export")


def _refuse_duplicates(plan: DatasetPlan, twice: Sequence[Mapping[str, Any]]) -> None:
    """Raises SnapshotError if a source has several rows: choosing one could recommend a closed source."""
    if twice:
        examples = ", ".join(f"{row['source_id']!r} ({row['count']} times)" for row in twice)
        raise SnapshotError(
            f"dataset {plan.name!r}, dt={plan.found[0].day}: sources occur more than once, e.g. {examples}; "
            "write one row per source"
        )
