"""What a run read: datasets, windows, partitions, rows, and what was missing or left out."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from jobs.pages.report.documents import Known, RunDocuments
from jobs.pages.report.drawings import days as draw_days
from jobs.pages.report.words import day_range, number, plural, some
from models.pages import MISSING

_MOST_DATASETS = 30
_MOST_DAYS = 800
"""Days of a window that are drawn."""


@dataclass(frozen=True)
class Dataset:
    """What was read of one dataset."""

    name: str
    is_snapshot: bool
    window: str
    partitions: str
    rows: int | None
    bytes: float | None
    notes: tuple[str, ...]
    """What was missing, left out or dropped."""
    drawn: Markup


def datasets_of(run: RunDocuments) -> list[Dataset]:
    """Returns what a run read, in the order of its settings."""
    return [_dataset(one, run) for one in run.records()][:_MOST_DATASETS]


def is_snapshot(run: RunDocuments, name: str) -> bool:
    """Returns whether a dataset is a snapshot, of which only the newest partition counts."""
    events = {event for event, _ in run.manifest.at("settings", "datasets", "events").items()}
    return bool(events) and name not in events


def rows_read(record: Known, *, snapshot: bool) -> int | None:
    """Returns the rows of the days in the window of a dataset; of a snapshot those of its newest partition."""
    counts = _rows(record)
    if snapshot:
        return counts[max(counts)] if counts else None
    start, end = record.at("start").day, record.at("end").day
    found = [rows for day, rows in counts.items() if (start is None or day >= start) and (end is None or day < end)]
    return sum(found) if found else None


def _dataset(record: Known, run: RunDocuments) -> Dataset:
    name = record.at("name").text or "without a name"
    start, end = record.at("start").day, record.at("end").day
    snapshot = is_snapshot(run, name)
    sizes = [day.at("bytes").number or 0 for day in record.at("days").each() if _is_read(day, start)]
    return Dataset(
        name=name,
        is_snapshot=snapshot,
        window=_window(start, end),
        partitions=_newest(record) if snapshot else _partitions(record, start, end),
        rows=rows_read(record, snapshot=snapshot),
        bytes=None if not any(sizes) else sizes[-1] if snapshot else sum(sizes),
        notes=tuple(_notes(record)),
        drawn=Markup("") if snapshot else _drawn(record, name, start, end),
    )


def _newest(record: Known) -> str:
    counts = _rows(record)
    return f"the newest, {max(counts)}" if counts else "none"


def _partitions(record: Known, start: dt.date | None, end: dt.date | None) -> str:
    inside, counts = _inside(record, start, end), _rows(record)
    total = "" if start is None or end is None else f" of {plural((end - start).days, 'day')}"
    older = len(counts) - len(inside)
    return f"{len(inside):,}{total}" + (f", and {older:,} before for judging" if older else "")


def _drawn(record: Known, name: str, start: dt.date | None, end: dt.date | None) -> Markup:
    inside = _inside(record, start, end)
    if start is None or end is None or not inside or (end - start).days > _MOST_DAYS:
        return Markup("")
    lost = [day for day in _days_in(record, "missing", "unfinished", "empty") if start <= day < end]
    said = f"rows of {name} by day: {number(min(inside.values()))} to {number(max(inside.values()))}"
    return draw_days(inside, start, end, lost, said + (f", {plural(len(lost), 'day')} without" if lost else ""))


def _inside(record: Known, start: dt.date | None, end: dt.date | None) -> dict[dt.date, int]:
    return {day: rows for day, rows in _rows(record).items() if start and end and start <= day < end}


def _is_read(day: Known, start: dt.date | None) -> bool:
    at = day.at("day").day
    return at is not None and (start is None or at >= start)


def _rows(record: Known) -> dict[dt.date, int]:
    found = ((day.at("day").day, day.at("rows").count) for day in record.at("days").each())
    return {day: rows for day, rows in found if day is not None and rows is not None}


def _window(start: dt.date | None, end: dt.date | None) -> str:
    if start is None or end is None or end <= start:
        return MISSING
    return f"{start} to {end - dt.timedelta(days=1)}"


def _days_in(record: Known, *names: str) -> list[dt.date]:
    found = (one.day for name in names for one in record.at(name).each())
    return sorted({day for day in found if day is not None})


def _notes(record: Known) -> Iterator[str]:
    for name in ("missing", "unfinished", "empty"):
        if found := _days_in(record, name):
            yield f"{plural(len(found), 'day')} {name}: {day_range(found)}"
    for excluded, why in record.at("excluded").items():
        yield f"{excluded} left out: {why.text or 'no reason is kept'}"
    if found := _days_in(record, "judged_missing"):
        yield f"missing for the judged recipe only: {day_range(found)}"
    dropped: dict[str, int] = {}
    for day in record.at("days").each():
        for fault, lost in day.at("dropped").items():
            dropped[fault] = dropped.get(fault, 0) + (lost.count or 0)
    if dropped:
        yield "dropped: " + some([f"{number(rows)} rows, {fault}" for fault, rows in dropped.items()])
    for count, what in (("ignored", "of ignored events"), ("erased", "of forgotten users")):
        if rows := sum(day.at(count).count or 0 for day in record.at("days").each()):
            yield f"{number(rows)} rows {what} left out"
