"""Daily partitions of five weeks for the features stage: the last 185 days of deck_cards, five of them in one.

That is about 75,000 events a day; with the 15,000 of a real day, Spark's fixed costs would be measured.
"""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.real_input import days_of, write_dataset
from benchmarks.training.plan import Plan
from conf.settings import Settings
from features.build import Features, build_features
from jobs.stages.features import TABLES, write_features
from jobs.storage.datasets import SparkCatalog
from jobs.storage.store import Storage
from jobs.storage.tables import Tables

WINDOW_DAYS, WEEK_DAYS = 28, 7
_JUDGED_OLDER = 2
"""Days before the window that the judged model reads."""
_DAYS = WINDOW_DAYS + WEEK_DAYS + _JUDGED_OLDER
_IN_ONE = 5
_START = dt.date(2025, 9, 1)
_DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Weeks:
    """The dataset in `folder`, and the settings of the product that reads it."""

    plan: Plan
    folder: Path
    settings: Settings
    as_of: dt.date
    events_in_window: int

    @classmethod
    def make(cls, plan: Plan, name: str, copies: int = 1) -> "Weeks":
        """Writes the partitions; with copies, as many users do the same as each of the data."""
        folder, days = plan.new_folder(name), days_of(plan.events)
        events = plan.events.filter(pa.array(days > days[-1] - _DAYS * _IN_ONE))
        first = (_START - dt.date(1970, 1, 1)).days * _DAY_SECONDS
        times = 1_000_000 * (first + np.arange(len(events)) * _DAYS * _DAY_SECONDS // len(events))
        at = events.column_names.index("ts")
        events = events.set_column(at, "ts", pa.array(times, pa.timestamp("us", "UTC")))
        in_window = int(np.count_nonzero(times >= 1_000_000 * (first + (_DAYS - WINDOW_DAYS) * _DAY_SECONDS)))
        write_dataset(_copied(events, copies), folder / "events")
        settings = Settings.model_validate(
            {
                "product": "benchmark",
                "datasets": {"events": {"events": {"path": "events", "window": f"{WINDOW_DAYS} days ago:today"}}},
                "interactions": {"event_weights": {"main": 1.0, "side": 0.5}},
                "split": {"holdout_days": _JUDGED_OLDER},
            }
        )
        return cls(plan, folder, settings, _START + dt.timedelta(_DAYS), in_window * copies)

    def catalog(self, partials: Path) -> SparkCatalog:
        """Returns a catalog of the dataset that keeps daily partials in the folder `partials`."""
        return SparkCatalog(self.plan.spark, Storage(str(self.folder)), Storage(str(partials)))

    def features(self, as_of: dt.date, partials: Path) -> Features:
        """Returns the stage's tables, still lazy; the daily partials are written."""
        return build_features(self.settings, as_of, self.catalog(partials))

    def write(self, features: Features, out: Path, *names: str) -> None:
        """Writes these tables as the stage does, or all of them if none is named."""
        tables = Tables(self.plan.spark(), Storage(str(out)))
        write_features(tables, features, self.settings.ids, names or TABLES)


def _copied(events: pa.Table, copies: int) -> pa.Table:
    """Returns the events of as many users for each one, still in order of time."""
    users = np.asarray(events["user_id"])
    others = (pa.array(users + i * (users.max() + 1)) for i in range(copies))
    at = events.column_names.index("user_id")
    return pa.concat_tables([events.set_column(at, "user_id", some) for some in others]).sort_by("ts")
