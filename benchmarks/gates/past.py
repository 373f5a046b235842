"""The past of a product as arrays, and the profiles that the first gate would measure of a week, without Spark."""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from conf import contract
from conf.gates import GateSettings
from conf.ids import IdKind
from conf.settings import Settings
from conf.windows import Window
from deploy.demo.ranked import Indices, Marks
from expectations.checks import describe
from expectations.inputs import InputProfile, SnapshotProfile
from expectations.interactions import BINS, FIRST_BIN, QUANTILES, InteractionProfile
from expectations.new_days import DayProfile, DaysProfile

Weights = NDArray[np.float64]
WEEK = 7
_EPOCH = dt.date(1970, 1, 1)
_LEAST = 1e-9
"""Smaller sums of weights are rounding errors of 0; the job adds integers."""


@dataclass(frozen=True)
class Events:
    """N events in order of days since 1970; users and sources are numbers."""

    day: Indices
    user: Indices
    source: Indices
    weight: Weights

    def between(self, first: int, end: int) -> "Events":
        """Returns the events of the days `first` … `end` − 1."""
        start, stop = np.searchsorted(self.day, [first, end])
        return self.at(slice(start, stop))

    def at(self, where: slice | Marks | Indices) -> "Events":
        """Returns the events at these positions."""
        return Events(self.day[where], self.user[where], self.source[where], self.weight[where])

    @cached_property
    def daily(self) -> dict[int, DayProfile]:
        """Counts of events and distinct users for each day with events."""
        days, events = np.unique(self.day, return_counts=True)
        base = self.user.max(initial=0) + 1
        _, users = np.unique(np.unique(self.day * base + self.user) // base, return_counts=True)
        counts = zip(days.tolist(), events.tolist(), users.tolist(), strict=True)
        return {day: DayProfile(day=date_of(day), events=number, users=people) for day, number, people in counts}


@dataclass(frozen=True)
class SnapshotRows:
    """The rows of a snapshot: the user of each row or, for sources, whether each may be recommended."""

    users: Indices | None = None
    eligible: Marks | None = None

    def profile(self, day: dt.date) -> SnapshotProfile:
        """Returns the counts that the features stage measures."""
        if self.eligible is not None:
            return SnapshotProfile(day=day, rows=len(self.eligible), eligible=int(self.eligible.sum()))
        users = np.zeros(0, np.int64) if self.users is None else self.users
        return SnapshotProfile(day=day, rows=len(users), users=len(np.unique(users)))


Newest = Mapping[str, Events]
"""Event dataset → its events in the newest week of a run."""
Snapshots = Mapping[str, SnapshotRows]


@dataclass(frozen=True)
class Past:
    """A product's events, snapshots and settings, and the days on which it ran."""

    name: str
    ids: IdKind
    events: Mapping[str, Events]
    windows: Mapping[str, int]
    """Event dataset → days before a run that the run reads."""
    snapshots: Callable[[int], Snapshots]
    """Returns the snapshots of the evening before a day."""
    half_life: float
    judged_days: int
    """Days before the window that the judged model reads."""
    kept_days: int
    """Days for which daily partials are kept."""
    gates: GateSettings
    runs: tuple[int, ...]
    """Days of the weekly runs; the first run has no baseline."""

    def newest(self, run: int) -> dict[str, Events]:
        """Returns the events of the week before a run."""
        return {name: events.between(run - WEEK, run) for name, events in self.events.items()}

    def inputs(self, run: int, newest: Newest, snapshots: Snapshots) -> InputProfile:
        """Returns the input profile of a run, with `newest` in place of its newest week."""
        evening = date_of(run - 1)
        return InputProfile(
            snapshots={name: snapshot.profile(evening) for name, snapshot in snapshots.items()},
            events={name: self._days(name, run, newest[name]) for name in self.events},
        )

    def _days(self, name: str, run: int, newest: Events) -> DaysProfile:
        window, known = self.windows[name], self.events[name].daily
        first = max(run - self.kept_days, self.runs[0] - window - self.judged_days)
        older = [known[day] for day in range(first, run - WEEK) if day in known]
        days = (*older, *newest.daily.values())
        return DaysProfile(start=date_of(run - window), end=date_of(run), days=days)

    def interactions(self, run: int, newest: Newest) -> InteractionProfile:
        """Returns the interaction profile of a run, with `newest` in place of its newest week."""
        parts = [part for name in self.events for part in self._decayed(name, run, newest[name])]
        pairs, weights = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        pairs, places = np.unique(pairs, return_inverse=True)
        sums = np.bincount(places, weights, len(pairs)).astype(np.float64)
        positive = sums > _LEAST
        return self._profile(pairs[positive], sums[positive], run)

    def _decayed(self, name: str, run: int, newest: Events) -> list[tuple[Indices, Weights]]:
        window = self.windows[name]
        parts = (self.events[name].between(run - window, run - WEEK), newest.between(run - window, run))
        return [(part.user * self._sources + part.source, self._weights(part, run)) for part in parts]

    def _weights(self, events: Events, run: int) -> Weights:
        weights: Weights = events.weight * 2.0 ** ((events.day - run) / self.half_life)
        return weights

    def _profile(self, pairs: Indices, weights: Weights, run: int) -> InteractionProfile:
        bins = np.clip(np.floor(np.log2(weights)) - FIRST_BIN, 0, BINS - 1).astype(int)
        some = len(weights) > 0
        midnight = dt.datetime.combine(date_of(run), dt.time(), dt.UTC)
        return InteractionProfile(
            columns=describe(contract.interactions(self.ids)),
            rows=len(pairs),
            users=len(np.unique(pairs // self._sources)),
            sources=len(np.unique(pairs % self._sources)),
            nulls={},
            non_finite=0,
            non_positive=0,
            duplicates=0,
            min=float(weights.min()) if some else None,
            max=float(weights.max()) if some else None,
            mean=float(weights.mean()) if some else None,
            quantiles=tuple(np.quantile(weights, QUANTILES, method="inverted_cdf").tolist()) if some else (),
            histogram=tuple(np.bincount(bins, minlength=BINS).tolist()),
            first_ts=midnight - dt.timedelta(days=1),
            last_ts=midnight - dt.timedelta(days=1),
        )

    @cached_property
    def _sources(self) -> int:
        return 1 + max(int(events.source.max(initial=0)) for events in self.events.values())


def date_of(day: int) -> dt.date:
    """Returns the date of a day since 1970."""
    return _EPOCH + dt.timedelta(days=day)


def window_days(settings: Settings, dataset: str, run: int) -> int:
    """Returns the length of the dataset's window in days."""
    return len(Window.parse(settings.datasets.events[dataset].window, date_of(run)).days)
