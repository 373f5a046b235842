"""Makes the drift history of the past from data that is still there, without training: a week at a time."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from conf.settings import Settings
from expectations.drift.history import Measured
from expectations.drift.measure_past import measure_past
from expectations.drift.run_numbers import interaction_numbers, measured
from expectations.drift.weeks import WEEK
from expectations.measure_interactions import measure_interactions
from features.build import build_features
from features.errors import FeaturesError
from features.reading.catalog import Catalog
from jobs.stages.drift_numbers import features_made_by
from jobs.storage.drift import DriftStore

_BEFORE_ALL_RUNS = "0-backfill"
"""Sorts before the id of any run, so that what a run measured itself counts."""


@dataclass(frozen=True)
class Filled:
    """One week of the past."""

    as_of: dt.date
    numbers: int
    """Numbers that were measured; 0: nothing is there."""
    bytes: int
    fault: str | None = None
    """What is missing for the interactions of a run as of that day, if something is."""


def backfill(catalog: Catalog, settings: Settings, store: DriftStore, as_of: dt.date, days: int) -> Iterator[Filled]:
    """Measures the weeks before `as_of`, the oldest first, and keeps them; yields each when it is done.

    The week that ends at `as_of` is left to the run as of that day. Raises FeaturesError if something that is there
    cannot be read.
    """
    sketches = store.sketches()
    for back in range(days // WEEK, 0, -1):
        week = as_of - dt.timedelta(days=back * WEEK)
        found, made = measure_past(catalog, settings, week, WEEK, sketches)
        sketches += made
        interactions, fault = _interactions(catalog, settings, week) if found else ([], None)
        key = f"{_BEFORE_ALL_RUNS}-{week}"
        size = 0
        if found:
            store.keep_sketches(key, made)
            size = store.keep(key, [*found, *interactions])
        yield Filled(week, len(found) + len(interactions), size, fault)


def _interactions(catalog: Catalog, settings: Settings, as_of: dt.date) -> tuple[list[Measured], str | None]:
    """Returns the numbers of the interactions of a run as of that day, or why it could not have been made."""
    try:
        features = build_features(settings, as_of, catalog)
    except FeaturesError as error:
        return [], str(error)
    profile = measure_interactions(features.interactions)
    features.release()
    return measured("interactions", as_of, features_made_by(settings), interaction_numbers(profile)), None
