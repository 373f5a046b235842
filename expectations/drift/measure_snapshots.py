"""Measures the snapshots of a run, from what was counted when they were read."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping

from expectations.drift.history import Measured
from expectations.drift.sketch import Sketch, former_of
from features.reading.snapshots import Snapshot


def sketches_of(as_of: dt.date, snapshots: Mapping[str, Snapshot]) -> list[Sketch]:
    """Returns a sketch of each snapshot, for later runs."""
    return [
        Sketch.of(name, as_of, found.day, found.traits.hashes, found.traits.hashed_to)
        for name, found in snapshots.items()
    ]


def measure_snapshots(
    as_of: dt.date, snapshots: Mapping[str, Snapshot], earlier: Iterable[Sketch] = ()
) -> list[Measured]:
    """Returns the numbers of each snapshot; `earlier`: sketches by earlier runs."""
    offered = [*earlier]
    return [
        Measured("sources" if name == "sources" else "snapshot", name, statistic, as_of, value, n, "")
        for name, found in snapshots.items()
        for statistic, value, n in (*_counts(as_of, found), *_mix(found), *_change(as_of, name, found, offered))
    ]


def _counts(as_of: dt.date, found: Snapshot) -> Iterator[tuple[str, float, float]]:
    rows = found.erased + found.kept
    yield "rows", rows, rows
    if found.users is not None:
        yield "users", found.users, found.users
    if found.users:
        yield "rows_per_user", rows / found.users, found.users
    yield "age", (as_of - found.day).days + 1, 1


def _mix(found: Snapshot) -> Iterator[tuple[str, float, float]]:
    traits = found.traits
    counts = {
        "ineligible": traits.inactive,
        "largest_category": traits.largest_category,
        "without_category": traits.without_category,
        "without_owner": traits.without_owner,
    }
    for name, count in counts.items():
        if count is not None and found.kept:
            yield name, count / found.kept, found.kept


def _change(
    as_of: dt.date, name: str, found: Snapshot, offered: Iterable[Sketch]
) -> Iterator[tuple[str, float, float]]:
    (now,) = sketches_of(as_of, {name: found})
    former = former_of(now, offered)
    if former is None:
        return
    for statistic, rate in (("kept", former.kept_in(now)), ("fresh", now.kept_in(former))):
        if rate is not None:
            share, n = rate
            yield statistic, share if statistic == "kept" else 1 - share, n
