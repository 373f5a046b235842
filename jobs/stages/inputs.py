"""The profile of a run's inputs, for the first gate."""

from collections.abc import Sequence

from conf.windows import Window
from expectations.inputs import InputProfile, SnapshotProfile
from expectations.new_days import DayProfile, DaysProfile
from features.counts import Counts
from features.reading.catalog import PartialRecord
from features.reading.snapshots import Snapshot


def input_profile(counts: Counts) -> InputProfile:
    """Returns the profile of the counts that features/ made."""
    return InputProfile(
        snapshots={name: _snapshot(found) for name, found in counts.snapshots.items()},
        events={name: _days(counts.windows[name], records) for name, records in counts.days.items()},
    )


def _snapshot(found: Snapshot) -> SnapshotProfile:
    counts = {name: getattr(found, name) for name in SnapshotProfile.model_fields if name != "rows"}
    return SnapshotProfile(rows=found.erased + found.kept, **counts)


def _days(window: Window, records: Sequence[PartialRecord]) -> DaysProfile:
    days = (DayProfile(day=record.day, events=record.kept, users=record.users) for record in records)
    return DaysProfile(start=window.start, end=window.end, days=tuple(days))
