"""Plans what a run will read from every dataset, and checks it as far as names, markers and footers allow."""

import datetime as dt
from dataclasses import dataclass, replace

from conf.datasets import EventDataset, SnapshotDataset
from conf.ids import IdKind
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
    """An event dataset: its window, and older days that only the judged recipe reads."""

    dataset: EventDataset
    plan: DatasetPlan
    older: DatasetPlan | None
    train: Window | None
    """Window of the judged recipe, relative to the cut."""

    @property
    def partitions(self) -> tuple[DayPartition, ...]:
        """All partitions that are read, oldest first."""
        return (*(self.older.found if self.older else ()), *self.plan.found)

    @property
    def days(self) -> tuple[dt.date, ...]:
        """Days of the window that are read."""
        return tuple(partition.day for partition in self.plan.found)

    def oldest_days(self, survey: "Survey") -> int:
        """Returns the largest age in days of an event in the windows, relative to `as_of` or to the cut."""
        judged = 0 if self.train is None else (survey.cut - self.train.start).days
        return max(judged, (survey.as_of - self.plan.window.start).days)

    @property
    def train_days(self) -> tuple[dt.date, ...]:
        """Days of the judged recipe's window that are read."""
        return tuple(part.day for part in self.partitions if self.train is not None and part.day in self.train)


@dataclass(frozen=True)
class SnapshotInput:
    """A snapshot dataset: its state at `as_of`, and at the cut if known."""

    dataset: SnapshotDataset
    plan: DatasetPlan
    train: DatasetPlan
    """The plan for the cut, or the one for `as_of` if none was usable."""

    def checked(self, ids: IdKind) -> "SnapshotInput":
        """Returns it with the columns that the files of each plan have; raises ConfigError and SchemaError."""
        plan, train = (check_snapshot(plan, self.dataset, ids) for plan in (self.plan, self.train))
        return replace(self, plan=plan, train=train)


@dataclass(frozen=True)
class Survey:
    """All inputs of a run; a dry run prints `plans`."""

    as_of: dt.date
    cut: dt.date
    events: tuple[EventInput, ...]
    snapshots: tuple[SnapshotInput, ...]

    @property
    def plans(self) -> tuple[DatasetPlan, ...]:
        """One plan per dataset, in the order of the settings."""
        return (*(event.plan for event in self.events), *(snapshot.plan for snapshot in self.snapshots))


def survey_inputs(settings: Settings, as_of: dt.date, catalog: Catalog) -> Survey:
    """Plans every dataset, also with gaps; raises ConfigError, MissingDatasetError and BrokenPartitionError."""
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
    """Checks gaps, schemas and weights of all datasets; raises the first FeaturesError or ConfigError."""
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
