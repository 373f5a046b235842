"""What gate 1 looks at before interactions are made: counts of the snapshots, and of each day of events."""

import datetime as dt
from typing import Literal

from conf.base import Strict


class SnapshotProfile(Strict):
    """One snapshot as it was delivered, erased users included."""

    day: dt.date
    """Its partition."""
    rows: int
    """Rows, exactly."""
    users: int | None = None
    """Distinct users, within 2 %; None of the sources."""
    eligible: int | None = None
    """Sources that may be recommended, exactly; None of other snapshots."""


class DayProfile(Strict):
    """One day of an event dataset, without ignored events, unusable rows and users who were erased by then."""

    day: dt.date
    events: int
    """Events, exactly."""
    users: int
    """Distinct users, within 2 %."""


class DaysProfile(Strict):
    """The days of one event dataset: those that the run reads, and older ones that runs before it have read."""

    start: dt.date
    """First day of the run's window."""
    end: dt.date
    """Day after the last of the window."""
    days: tuple[DayProfile, ...]
    """Oldest first; a day without a partition is not there."""


class InputProfile(Strict):
    """What came in for one run."""

    kind: Literal["inputs"] = "inputs"
    """Tells profiles apart in JSON."""
    snapshots: dict[str, SnapshotProfile]
    """Snapshots by name; those that the settings do not have are not there."""
    events: dict[str, DaysProfile]
    """Event datasets by name."""
