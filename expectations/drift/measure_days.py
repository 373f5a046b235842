"""Measures new days of the event datasets: from the records of their daily partials, and from a sample of the users in
five weeks, which one job per week of new days reads. Nothing is judged here."""

import datetime as dt
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from conf.datasets import EventDataset
from conf.digest import sha256_of
from conf.settings import Settings
from expectations.drift.history import Measured
from expectations.drift.measure_users import Users, day_numbers, mean_amount, snapshot_numbers, week_numbers
from expectations.drift.numbers import Number
from expectations.drift.statistics import SHARE_OF
from expectations.drift.user_sample import Sample, read_sample
from expectations.drift.weeks import WEEK, Week
from features.reading.catalog import Catalog, PartialRecord
from features.reading.snapshots import Snapshot

Records = Mapping[str, Sequence[PartialRecord]]


def measure_days(
    catalog: Catalog,
    settings: Settings,
    records: Records,
    new_days: Mapping[str, Collection[dt.date]],
    snapshots: Mapping[str, Snapshot],
) -> list[Measured]:
    """Returns the numbers of the new days, as far as they have records, oldest week first.

    records: event dataset → known days, of which those of the four weeks before each new day are read, too; a day that
    is to be left out has none here. snapshots: as of the run; they are compared with the newest new day.
    """
    newest = max((day for days in new_days.values() for day in days), default=None)
    if newest is None:
        return []
    oldest = min(day for days in new_days.values() for day in days)
    weeks = (newest - oldest).days // WEEK + 1
    found = []
    for back in reversed(range(weeks)):
        end = newest + dt.timedelta(days=1 - back * WEEK)
        week = Week.of(end, {name: [one.day for one in known] for name, known in records.items()}, new_days)
        if any(week.new.values()):
            near = {name: [one for one in known if week.first <= one.day < end] for name, known in records.items()}
            found += _measure_week(catalog, settings, near, week, snapshots if back == 0 else {})
    return found


def _measure_week(
    catalog: Catalog, settings: Settings, records: Records, week: Week, snapshots: Mapping[str, Snapshot]
) -> list[Measured]:
    sample = read_sample(catalog, settings, records, week.first, snapshots)
    users = {name: Users.of(rows) for name, rows in sample.events.items()}
    datasets = settings.datasets.events
    each = (_Dataset(name, datasets[name], records[name], week, users, sample, snapshots) for name in records)
    return [number for one in each for number in one.measured()]


@dataclass(frozen=True)
class _Dataset:
    """What is known of one dataset in a week."""

    name: str
    settings: EventDataset
    records: Sequence[PartialRecord]
    week: Week
    users: Mapping[str, Users]
    sample: Sample
    snapshots: Mapping[str, Snapshot]

    def measured(self) -> Iterator[Measured]:
        """Yields every number of its new days."""
        by_day = {(one.day - self.week.first).days: one for one in self.records}
        events = sorted({event for one in by_day.values() for event in one.events})
        for day in self.week.new_of(self.name):
            made_of, users = by_day[day].fingerprint, self.users[self.name]
            yield from self._named(day, made_of, _of_record(by_day[day], self.settings, events))
            yield from self._named(day, made_of, day_numbers(users, self.week, self.name, day))
            if self.settings.columns.multipliers:
                yield from self._named(day, made_of, mean_amount(users, day))
            seven = [by_day[one].fingerprint for one in range(day - WEEK + 1, day + 1) if one in by_day]
            yield from self._named(day, _digest(seven), week_numbers(self.users, self.week, self.name, day))
            if day == self.week.new_of(self.name)[-1]:
                yield from self._beside_snapshots(day, by_day)

    def _beside_snapshots(self, day: int, by_day: Mapping[int, PartialRecord]) -> Iterator[Measured]:
        has_status = "sources" in self.snapshots and self.snapshots["sources"].traits.inactive is not None
        for name, rows in self.sample.snapshots.items():
            snapshot = self.snapshots[name]
            # What users did after it was taken is not in it: else its age would move the numbers.
            last = day if name == "audience" else min(day, (snapshot.day - self.week.first).days)
            seven = [by_day[one].fingerprint for one in range(last - WEEK + 1, last + 1) if one in by_day]
            numbers = snapshot_numbers(self.users[self.name], self.week, self.name, last, name, rows)
            kept = ((*one,) for one in numbers if has_status or one[0] != "closed_sources")
            yield from self._named(day, _digest([*seven, snapshot.fingerprint]), kept)

    def _named(self, day: int, made_of: str, numbers: Iterator[Number]) -> Iterator[Measured]:
        for statistic, value, n, *note in numbers:
            yield Measured("events", self.name, statistic, self.week.day(day), float(value), float(n), made_of, *note)


def _of_record(record: PartialRecord, dataset: EventDataset, events: Sequence[str]) -> Iterator[Number]:
    """Yields what the record of a day's partials says; `events`: names that occurred in the five weeks."""
    kept = record.kept
    yield "events", kept, kept
    yield "users", record.users, record.users
    if record.users:
        yield "events_per_user", kept / record.users, record.users
    if kept:
        for event in events:
            yield SHARE_OF + event, record.events.get(event, 0) / kept, kept
    if record.rows and dataset.bad_row_budget > 0:  # without a budget such rows stop the run
        yield "dropped", sum(record.dropped.values()) / record.rows, record.rows
    if record.rows and dataset.ignore_events:
        yield "ignored", record.ignored / record.rows, record.rows
    if dataset.columns.multipliers and record.largest:
        yield "largest_amount", max(record.largest.values()), kept


def _digest(fingerprints: Sequence[str]) -> str:
    return sha256_of("\n".join(fingerprints))[:16]
