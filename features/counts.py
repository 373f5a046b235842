"""Counts of a run's inputs for gate 1: snapshots, the days of events that are read, and older recorded days."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from conf.settings import Settings
from conf.windows import Window
from features.partials import DailyPartials, kept_before
from features.reading.catalog import Catalog, PartialRecord
from features.reading.snapshots import Snapshot
from features.survey import EventInput, Survey


@dataclass(frozen=True)
class Counts:
    """Input counts that gate 1 compares with the run that serves."""

    snapshots: Mapping[str, Snapshot]
    """Snapshots by name, as of today."""
    windows: Mapping[str, Window]
    """Event dataset → window."""
    days: Mapping[str, tuple[PartialRecord, ...]]
    """Event dataset → recorded days of earlier runs, then days that are read, oldest first."""


def counts_of(
    survey: Survey,
    partials: Sequence[DailyPartials],
    snapshots: Mapping[str, Snapshot],
    settings: Settings,
    catalog: Catalog,
) -> Counts:
    """Returns the counts of a run; `partials` are those of the survey's events.

    Of older days only the records are read.
    """
    both = zip(survey.events, partials, strict=True)
    return Counts(
        snapshots=snapshots,
        windows={entry.plan.name: entry.plan.window for entry in survey.events},
        days={entry.plan.name: (*_kept(entry, survey.as_of, settings, catalog), *made.records) for entry, made in both},
    )


def _kept(entry: EventInput, as_of: dt.date, settings: Settings, catalog: Catalog) -> tuple[PartialRecord, ...]:
    """Returns the records of days before those that are read; excluded ones are no measure of what is usual."""
    kept = Window(as_of - dt.timedelta(days=settings.runs.partials_keep_days), as_of)
    excluded = catalog.excluded_days(entry.dataset)
    days = [day for day in kept.days if day < entry.partitions[0].day and day not in excluded]
    return kept_before(entry.plan.name, entry.dataset, days, settings.ids, catalog)
