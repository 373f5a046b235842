"""Records of a run's inputs for the manifest."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from conf.base import Strict
from features.partials import DailyPartials
from features.reading.catalog import DayPartition, PartialRecord
from features.reading.snapshots import Snapshot
from features.survey import EventInput, SnapshotInput


class DayRecord(Strict):
    """A partition that was read."""

    day: dt.date
    fingerprint: str
    rows: int
    """Rows by the footers of its files: the sum of ignored, erased, dropped and kept."""
    bytes: int
    ignored: int = 0
    """Rows with an ignored event name; in older runs also those of erased users."""
    erased: int = 0
    """Rows of users who were erased when it was read; older runs count them as ignored."""
    dropped: Mapping[str, int] = {}
    """Fault → number of rows dropped for it, within the dataset's budget."""
    kept: int | None = None
    """Rows that count; null in older runs, which did not count them."""


class InputRecord(Strict):
    """One dataset of a run."""

    name: str
    start: dt.date
    """First day of the window."""
    end: dt.date
    """Day after the last of the window."""
    days: tuple[DayRecord, ...]
    missing: tuple[dt.date, ...] = ()
    unfinished: tuple[dt.date, ...] = ()
    empty: tuple[dt.date, ...] = ()
    excluded: Mapping[dt.date, str] = {}
    """Day that an operator excluded, also of those for the judged recipe → who and why."""
    judged_missing: tuple[dt.date, ...] = ()
    """Days before the window that only the judged recipe would have read, and that are missing."""
    judged_days: tuple[dt.date, ...] = ()
    """Partitions that the judged recipe was trained on."""
    partials_reused: tuple[dt.date, ...] = ()
    partials_rebuilt: tuple[dt.date, ...] = ()


def event_record(entry: EventInput, partials: DailyPartials) -> InputRecord:
    """Returns the record of an event dataset, with the older days of the judged recipe."""
    known = {record.day: record for record in partials.records}
    plan = entry.plan
    return InputRecord(
        name=plan.name,
        start=plan.window.start,
        end=plan.window.end,
        days=tuple(_day(part, **_counts(known[part.day])) for part in entry.partitions),
        missing=plan.missing,
        unfinished=plan.unfinished,
        empty=plan.empty,
        excluded={**(entry.older.excluded if entry.older else {}), **plan.excluded},
        judged_missing=entry.older.gaps if entry.older else (),
        judged_days=entry.train_days,
        partials_reused=partials.reused,
        partials_rebuilt=tuple(day for day in known if day not in partials.reused),
    )


def snapshot_record(entry: SnapshotInput, *read: Snapshot) -> InputRecord:
    """Returns the record of a snapshot dataset; `read`: the partitions that were read."""
    plan = entry.plan
    parts = {part.day: part for part in (*entry.train.found, *plan.found)}
    counts = {snapshot.day: {"erased": snapshot.erased, "kept": snapshot.kept} for snapshot in read}
    return InputRecord(
        name=plan.name,
        start=plan.window.start,
        end=plan.window.end,
        days=tuple(_day(part, **counts[part.day]) for part in parts.values()),
        unfinished=plan.unfinished,
        empty=plan.empty,
        excluded={**entry.train.excluded, **plan.excluded},
        judged_days=tuple(part.day for part in entry.train.found),
    )


def _counts(record: PartialRecord) -> dict[str, Any]:
    return {"ignored": record.ignored, "erased": record.erased, "dropped": record.dropped, "kept": record.kept}


def _day(part: DayPartition, **counts: Any) -> DayRecord:
    return DayRecord(day=part.day, fingerprint=part.fingerprint, rows=part.rows, bytes=part.bytes, **counts)
