"""What the manifest keeps of a run's inputs."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from conf.base import Strict
from features.partials import DailyPartials
from features.reading.catalog import DayPartition, PartialRecord
from features.reading.snapshots import Snapshot
from features.survey import EventInput, SnapshotInput


class DayRecord(Strict):
    """One partition that was read."""

    day: dt.date
    fingerprint: str
    rows: int
    """By the footers of its files; the sum of ignored, erased, dropped and kept, each of them counted."""
    bytes: int
    ignored: int = 0
    """Rows with an ignored event name; of older runs also those of erased users."""
    erased: int = 0
    """Rows of users who were erased when it was read; of older runs in `ignored`."""
    dropped: Mapping[str, int] = {}
    """Fault → rows left out for it, within the dataset's budget."""
    kept: int | None = None
    """Rows that count; null: an older run, which did not count them."""


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
    judged_missing: tuple[dt.date, ...] = ()
    """Days before the window that only the judged recipe would have read, and that are not there."""
    judged_days: tuple[dt.date, ...] = ()
    """Partitions that the judged recipe was trained on."""
    partials_reused: tuple[dt.date, ...] = ()
    partials_rebuilt: tuple[dt.date, ...] = ()


def event_record(entry: EventInput, partials: DailyPartials) -> InputRecord:
    """Returns the record of an event dataset, the older days of the judged recipe included."""
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
        judged_missing=entry.older.gaps if entry.older else (),
        judged_days=entry.train_days,
        partials_reused=partials.reused,
        partials_rebuilt=tuple(day for day in known if day not in partials.reused),
    )


def snapshot_record(entry: SnapshotInput, *read: Snapshot) -> InputRecord:
    """Returns the record of a snapshot dataset, of which these partitions were read."""
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
        judged_days=tuple(part.day for part in entry.train.found),
    )


def _counts(record: PartialRecord) -> dict[str, Any]:
    return {"ignored": record.ignored, "erased": record.erased, "dropped": record.dropped, "kept": record.kept}


def _day(part: DayPartition, **counts: Any) -> DayRecord:
    return DayRecord(day=part.day, fingerprint=part.fingerprint, rows=part.rows, bytes=part.bytes, **counts)
