"""What a run would read: every dataset's plan, and its checks that need no more than names, markers and footers."""

import datetime as dt
from dataclasses import dataclass, replace

from conf.contract import IdKind
from conf.datasets import EventDataset, SnapshotDataset
from conf.settings import Settings
from conf.windows import Window
from features.cut import cut_of, train_window
from features.interactions import check_factors
from features.reading.catalog import Catalog, DayPartition
from features.reading.dataset import DatasetPlan, check_window, enforce_policy, plan_dataset
from features.reading.rows import event_fields
from features.reading.schema import check_fields
from features.reading.snapshots import REQUIRED, check_snapshot, enforce_snapshot, plan_snapshot, usable


@dataclass(frozen=True)
class EventInput:
    """An event dataset: its window, and the older days that only the judged recipe reads."""

    dataset: EventDataset
    plan: DatasetPlan
    older: DatasetPlan | None
    train: Window | None
    """Window of the judged recipe, anchored at the cut."""

    @property
    def partitions(self) -> tuple[DayPartition, ...]:
        """Everything that is read, oldest first."""
        return (*(self.older.found if self.older else ()), *self.plan.found)

    @property
    def days(self) -> tuple[dt.date, ...]:
        """Days of the window that are read."""
        return tuple(partition.day for partition in self.plan.found)

    def oldest_days(self, survey: "Survey") -> int:
        """Returns days before `as_of`, or before the cut, at which an event of the windows can be at most."""
        judged = 0 if self.train is None else (survey.cut - self.train.start).days
        return max(judged, (survey.as_of - self.plan.window.start).days)

    @property
    def train_days(self) -> tuple[dt.date, ...]:
        """Days of the judged recipe's window that are read."""
        return tuple(part.day for part in self.partitions if self.train is not None and part.day in self.train)


@dataclass(frozen=True)
class SnapshotInput:
    """A snapshot dataset: what is true at `as_of`, and what was at the cut, as far as it is known."""

    dataset: SnapshotDataset
    plan: DatasetPlan
    train: DatasetPlan
    """That of `as_of` where none was usable at the cut."""

    def checked(self, ids: IdKind) -> "SnapshotInput":
        """Returns it with the columns that the files of each plan have; raises ConfigError and SchemaError."""
        plan, train = (check_snapshot(plan, self.dataset, ids) for plan in (self.plan, self.train))
        return replace(self, plan=plan, train=train)


@dataclass(frozen=True)
class Survey:
    """All inputs of a run; `plans` is what a dry run prints."""

    as_of: dt.date
    cut: dt.date
    events: tuple[EventInput, ...]
    snapshots: tuple[SnapshotInput, ...]

    @property
    def plans(self) -> tuple[DatasetPlan, ...]:
        """One plan per dataset, in the order of the settings."""
        return (*(event.plan for event in self.events), *(snapshot.plan for snapshot in self.snapshots))


def survey_inputs(settings: Settings, as_of: dt.date, catalog: Catalog) -> Survey:
    """Plans every dataset; gaps do not raise; raises ConfigError, MissingDatasetError and BrokenPartitionError."""
    cut = cut_of(as_of, settings.split.holdout_days)
    datasets = settings.datasets
    snapshots = {name: getattr(datasets, name) for name in REQUIRED}
    return Survey(
        as_of=as_of,
        cut=cut,
        events=tuple(_event(name, dataset, as_of, cut, catalog) for name, dataset in datasets.events.items()),
        snapshots=tuple(_snapshot(name, set_, as_of, cut, catalog) for name, set_ in snapshots.items() if set_),
    )


def check_survey(survey: Survey, settings: Settings, catalog: Catalog) -> Survey:
    """Enforces the policies for gaps, checks every schema and weight; returns the survey with the columns it found.

    Raises the first FeaturesError or ConfigError.
    """
    for event in survey.events:
        enforce_policy(event.plan, event.dataset)
    for snapshot in survey.snapshots:
        enforce_snapshot(snapshot.plan, snapshot.dataset, catalog)
    for event in survey.events:
        check_fields(event.plan.name, event_fields(event.dataset, settings.ids), event.partitions)
    snapshots = tuple(entry.checked(settings.ids) for entry in survey.snapshots)
    for event in survey.events:
        check_factors(event.plan.name, event.dataset, event.oldest_days(survey), settings.interactions)
    return replace(survey, snapshots=snapshots)


def _event(name: str, dataset: EventDataset, as_of: dt.date, cut: dt.date, catalog: Catalog) -> EventInput:
    window = Window.parse(dataset.window, as_of)
    check_window(name, window, as_of)
    train = train_window(dataset.window, cut)
    plan = plan_dataset(name, dataset, window, catalog)
    older = None
    if train is not None and train.start < window.start:
        older = plan_dataset(name, dataset, Window(train.start, min(window.start, train.end)), catalog)
    return EventInput(dataset, plan, older, train)


def _snapshot(name: str, dataset: SnapshotDataset, as_of: dt.date, cut: dt.date, catalog: Catalog) -> SnapshotInput:
    plan, train = plan_snapshot(name, dataset, as_of, catalog), plan_snapshot(name, dataset, cut, catalog)
    return SnapshotInput(dataset, plan, train if usable(train) else plan)
