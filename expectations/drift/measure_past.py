"""Measures weeks of the past from data that is still there, without a run."""

import datetime as dt
from collections.abc import Iterable, Mapping

from conf.settings import Settings
from conf.windows import Window
from expectations.drift.history import Measured
from expectations.drift.measure_days import measure_days
from expectations.drift.measure_snapshots import measure_snapshots, sketches_of
from expectations.drift.sketch import Sketch
from expectations.drift.weeks import PAST, WEEK
from features.partials import DailyPartials, daily_partials
from features.reading.catalog import Catalog
from features.reading.rows import event_fields
from features.reading.schema import check_fields
from features.reading.snapshots import (
    REQUIRED,
    Snapshot,
    SnapshotRead,
    check_snapshot,
    plan_snapshot,
    read_snapshots,
    usable,
)


def measure_past(
    catalog: Catalog, settings: Settings, as_of: dt.date, days: int = WEEK, earlier: Iterable[Sketch] = ()
) -> tuple[list[Measured], list[Sketch]]:
    """Returns the numbers that a run as of that day would have measured, were the newest `days` new; and its sketches.

    Daily partials that are missing are made and kept. Days and snapshots that are not there are left out. earlier:
    sketches of runs before. Raises FeaturesError if something that is there cannot be read.
    """
    ends = {name: Window.parse(one.window, as_of).end for name, one in settings.datasets.events.items()}
    new = {name: Window(end - dt.timedelta(days=days), end) for name, end in ends.items()}
    partials = {name: _partials(catalog, settings, name, window) for name, window in new.items()}
    snapshots = snapshots_of(catalog, settings, as_of)
    measured = measure_days(
        catalog,
        settings,
        {name: made.records for name, made in partials.items()},
        {name: window.days for name, window in new.items()},
        snapshots,
    )
    return measured + measure_snapshots(as_of, snapshots, earlier), sketches_of(as_of, snapshots)


def snapshots_of(catalog: Catalog, settings: Settings, as_of: dt.date) -> Mapping[str, Snapshot]:
    """Returns the usable snapshots of that day by name; raises FeaturesError if one cannot be read."""
    wanted = []
    for name in REQUIRED:
        dataset = getattr(settings.datasets, name)
        plan = None if dataset is None else plan_snapshot(name, dataset, as_of, catalog)
        if plan is not None and usable(plan):
            wanted.append(SnapshotRead(check_snapshot(plan, dataset, settings.ids), dataset, as_of))
    read = read_snapshots(wanted, settings.ids, catalog)
    return {one.plan.name: found for one, found in zip(wanted, read, strict=True)}


def _partials(catalog: Catalog, settings: Settings, name: str, new: Window) -> DailyPartials:
    dataset = settings.datasets.events[name]
    days = Window(new.start - dt.timedelta(days=PAST), new.end).days
    found = [one for one in catalog.partitions(dataset, days).finished if one.rows]
    check_fields(name, event_fields(dataset, settings.ids), found)
    return daily_partials(name, dataset, found, settings.ids, catalog)
