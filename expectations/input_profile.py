"""The numbers that gate 1 judges before interactions are made: counts of snapshots and of each day of events."""

import datetime as dt
from typing import Literal

from conf.base import Strict


class SnapshotProfile(Strict):
    """Counts of one snapshot as delivered, erased users included."""

    day: dt.date
    """Day of its partition."""
    rows: int
    """Exact number of rows."""
    users: int | None = None
    """Distinct users, within 2 %; None for `sources`."""
    eligible: int | None = None
    """Exact number of sources that may be recommended; None for other snapshots."""


class DayProfile(Strict):
    """One day of an event dataset, without ignored events, unusable rows and users erased by then."""

    day: dt.date
    events: int
    """Exact number of events."""
    users: int
    """Distinct users, within 2 %."""


class DaysProfile(Strict):
    """Days of one event dataset: those that the run reads, and older ones that earlier runs read."""

    start: dt.date
    """First day of the run's window."""
    end: dt.date
    """Day after the last of the window."""
    days: tuple[DayProfile, ...]
    """Oldest first; days without a partition are left out."""


class InputProfile(Strict):
    """Counts of one run's inputs."""

    kind: Literal["inputs"] = "inputs"
    """Distinguishes profiles in JSON."""
    snapshots: dict[str, SnapshotProfile]
    """Snapshots by name; those that the settings lack are left out."""
    events: dict[str, DaysProfile]
    """Event datasets by name."""
