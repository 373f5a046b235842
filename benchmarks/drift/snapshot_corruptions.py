"""Corruptions of snapshots: lost, stale, not exported, and a catalogue that says what is not so."""

import datetime as dt
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.random import Generator

from benchmarks.drift import faults
from benchmarks.drift.corruption import Apply, Corruption, Fault, fault, lose, plan, shuffle
from benchmarks.drift.week import SNAPSHOTS, STALE, Change, Week


def _replace_by_old(dataset: str) -> Apply:
    def apply(week: Week, rng: Generator) -> None:
        for day in week.days(dataset):
            week.write(dataset, day, week.read(dataset, week.on_or_before(dataset, day - dt.timedelta(days=STALE))))

    return apply


def _remove_recent(dataset: str) -> Apply:
    def apply(week: Week, rng: Generator) -> None:
        newest = week.on_or_before(dataset, week.as_of - dt.timedelta(days=STALE))
        for day in week.all_days(dataset):
            if day > newest:
                week.remove(dataset, day)

    return apply


def _lost_snapshots() -> tuple[Corruption, ...]:
    """Returns the four ways in which each snapshot is lost."""
    found = []
    for dataset in SNAPSHOTS:
        whose, one = ("source_id" if dataset == "sources" else "user_id"), (dataset,)
        found += [
            fault(
                f"{dataset}_lost_by_90_percent", "snapshots", one,
                f"Nine in ten rows of {dataset} are missing.", lambda table, rng: faults.thinned(table, 0.9, rng),
            ),
            plan(
                f"{dataset}_half_empty", "snapshots", one,
                f"All rows of {dataset} are missing for half of the {whose.removesuffix('_id')}s.", lose(whose, 0.5),
            ),
            Corruption(
                f"{dataset}_with_old_content", "snapshots", one,
                f"The newest partitions of {dataset} hold the rows of five weeks ago.", _replace_by_old(dataset),
            ),
            Corruption(
                f"{dataset}_not_exported", "snapshots", one,
                f"The newest partition of {dataset} is five weeks old.", _remove_recent(dataset),
            ),
        ]  # fmt: skip
    return tuple(found)


def _close_half(week: Week, datasets: Sequence[str], rng: Generator) -> Change:
    closed = faults.some(week.ids("source_id", datasets), 0.5, rng)

    def change(table: pa.Table) -> pa.Table:
        return faults.overwritten(table, "status", "closed", np.asarray(pc.is_in(table["source_id"], value_set=closed)))

    return change


def _constant(column: str, value: str | None) -> Fault:
    def change(table: pa.Table, rng: Generator) -> pa.Table:
        return faults.put(table, column, pa.repeat(pa.scalar(value, table.schema.field(column).type), len(table)))

    return change


_CATALOGUE = (
    fault(
        "closed_sources_called_active", "catalogue", ("sources",),
        "Every source has the status active.", _constant("status", "active"),
    ),
    plan(
        "half_of_active_sources_called_closed", "catalogue", ("sources",),
        "Half of the active sources have the status closed.", _close_half,
    ),
    fault(
        "owners_null", "catalogue", ("sources",), "No source has an owner.", _constant("owner_id", None),
    ),
    fault(
        "categories_shuffled", "catalogue", ("sources",),
        "The categories of the sources are in random order.", shuffle("category"),
    ),
)  # fmt: skip


SNAPSHOT_CORRUPTIONS = (*_lost_snapshots(), *_CATALOGUE)
