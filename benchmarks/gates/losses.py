"""Losses in the newest week: of events, of users, of rows in snapshots; a share says how much."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from benchmarks.gates.past import Events, Newest, SnapshotRows, Snapshots
from conf.datasets import SNAPSHOTS


@dataclass(frozen=True)
class NewestWeek:
    """The newest week of a run, and the snapshots of its evening."""

    newest: Newest
    snapshots: Snapshots


Plant = Callable[[NewestWeek, float, Generator], NewestWeek]
"""(week, share that is lost, random generator) → the damaged week."""


def event_losses(datasets: Sequence[str]) -> dict[str, Plant]:
    """Returns the kinds of loss by name, for each dataset and, if there are several, for all at once."""
    wholes: dict[str, Sequence[str]] = {dataset: (dataset,) for dataset in datasets}
    if len(datasets) > 1:
        wholes["every dataset"] = tuple(datasets)
    return {
        f"{kind} · {name}": _in(parts, change) for kind, change in _CHANGES.items() for name, parts in wholes.items()
    }


def snapshot_losses() -> dict[str, Plant]:
    """Returns the kinds of loss in a snapshot by name."""
    rows = {f"rows lost · {name}": _of(name, _rows_lost) for name in SNAPSHOTS}
    users = {"users lost · subscriptions": _of("subscriptions", _users_lost)}
    states = {
        "closed called active · sources": _of("sources", _opened),
        "active called closed · sources": _of("sources", _closed),
    }
    return {**rows, **users, **states}


def _in(datasets: Sequence[str], change: Callable[[Events, float, Generator], Events]) -> Plant:
    def planted(week: NewestWeek, share: float, rng: Generator) -> NewestWeek:
        changed = {name: change(week.newest[name], share, rng) for name in datasets}
        return replace(week, newest={**week.newest, **changed})

    return planted


def _of(name: str, change: Callable[[SnapshotRows, float, Generator], SnapshotRows]) -> Plant:
    def planted(week: NewestWeek, share: float, rng: Generator) -> NewestWeek:
        return replace(week, snapshots={**week.snapshots, name: change(week.snapshots[name], share, rng)})

    return planted


def _events_of_users_lost(events: Events, share: float, rng: Generator) -> Events:
    users = np.unique(events.user)
    gone = users[rng.random(len(users)) < share]
    return events.at(~np.isin(events.user, gone))


def _events_lost(events: Events, share: float, rng: Generator) -> Events:
    return events.at(rng.random(len(events.day)) >= share)


def _events_twice(events: Events, share: float, rng: Generator) -> Events:
    return events.at(np.repeat(np.arange(len(events.day)), 1 + (rng.random(len(events.day)) < share)))


_CHANGES = {"events of users lost": _events_of_users_lost, "events lost": _events_lost, "events twice": _events_twice}


def _rows_lost(snapshot: SnapshotRows, share: float, rng: Generator) -> SnapshotRows:
    if snapshot.eligible is not None:
        return SnapshotRows(eligible=snapshot.eligible[rng.random(len(snapshot.eligible)) >= share])
    assert snapshot.users is not None
    return SnapshotRows(users=snapshot.users[rng.random(len(snapshot.users)) >= share])


def _users_lost(snapshot: SnapshotRows, share: float, rng: Generator) -> SnapshotRows:
    assert snapshot.users is not None
    users = np.unique(snapshot.users)
    gone = users[rng.random(len(users)) < share]
    return SnapshotRows(users=snapshot.users[~np.isin(snapshot.users, gone)])


def _opened(snapshot: SnapshotRows, share: float, rng: Generator) -> SnapshotRows:
    assert snapshot.eligible is not None
    return SnapshotRows(eligible=snapshot.eligible | (rng.random(len(snapshot.eligible)) < share))


def _closed(snapshot: SnapshotRows, share: float, rng: Generator) -> SnapshotRows:
    assert snapshot.eligible is not None
    return SnapshotRows(eligible=snapshot.eligible & (rng.random(len(snapshot.eligible)) >= share))
