"""Settings of the datasets that a product reads: where they are, what may be wrong in them, what a gap means."""

from typing import Literal

from pydantic import Field, model_validator

from conf.base import MAX_DAYS, Number, Strict, Whole
from conf.location import is_folder_name
from conf.windows import WindowText


class Columns(Strict):
    """Column names in the files; the defaults are the product's own names."""

    user_id: str = "user_id"
    """Column with the user."""
    source_id: str = "source_id"
    """Column with the source."""
    event: str = "event"
    """Column with the event's name."""
    ts: str = "ts"
    """Column with the UTC time of the event."""
    weight: str | None = None
    """Column that multiplies an event's weight (a quantity, a duration); null: every event counts once. Rows whose
    value is neither 0 nor between 6e-8 and 1e9 in magnitude are bad rows."""

    @property
    def multipliers(self) -> dict[str, str]:
        """Our name → the name in the files of each column that multiplies an event's weight, as far as they are set."""
        return {} if self.weight is None else {"weight": self.weight}


class Dataset(Strict):
    """A folder of `dt=YYYY-MM-DD/*.parquet`."""

    path: str
    """Path, relative to `data_root`, or URI of the folder; docs/storage.md says what it may contain."""
    success_marker: str | None = "_SUCCESS"
    """File that marks a partition as complete; a partition without it counts as missing. null: no marker needed."""


class DailyDataset(Dataset):
    """Rows that happened on days, read over a window of days."""

    on_missing: Literal["fail", "wait", "shrink"] = "fail"
    """For a missing or empty partition: `fail` stops the run, `wait` exits with code 75 so that the scheduler retries,
    `shrink` continues without it and records that in the manifest."""
    max_missing_days: Whole = Field(default=1, ge=0, le=MAX_DAYS)
    """With `shrink`: days of the window that may be missing or empty; with more the run stops."""
    day_of: Literal["event", "ingestion"] = "event"
    """Meaning of `dt`: the day of the event (every `ts` is on it) or the day on which the event arrived."""
    lateness_days: Whole = Field(default=0, ge=0, le=MAX_DAYS)
    """With `day_of: ingestion`: days that an event may be older than its partition; rows with older ones are bad."""
    bad_row_budget: Number = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of a day's rows that may be dropped for unusable ids, names, times, weights or positions; dropped rows are
    counted, those of a run in its manifest."""


class EventDataset(DailyDataset):
    """Events of users with sources, read over a sliding window of days."""

    window: WindowText = "28 days ago:today"
    """Half-open window of UTC days relative to `--as-of`, e.g. "10 days ago:today" for the ten complete days before."""
    ignore_events: tuple[str, ...] = ()
    """Event names to ignore; any other name without a weight stops the run."""
    columns: Columns = Columns()
    """Column names in the files."""


class ImpressionColumns(Strict):
    """Column names in the files of impressions; the defaults are the product's own names."""

    user_id: str = "user_id"
    """Column with the user."""
    source_id: str = "source_id"
    """Column with the source that was shown."""
    ts: str = "ts"
    """Column with the UTC time at which it was shown."""
    position: str | None = None
    """Column with the place in the list, counted from 1; null: places are not known."""
    run: str | None = None
    """Column with the run whose list was shown, as the look-up named it; null: runs are not known."""
    surface: str | None = None
    """Column with the place in the app, named as in look-ups; null: all are `default`."""


class ImpressionDataset(DailyDataset):
    """What was shown: one row per source that a user saw at a time. No run reads it and no list depends on it; what is
    said of a run here holds for what measures outcomes. With it there are click-through rates: docs/impressions.md."""

    columns: ImpressionColumns = ImpressionColumns()
    """Column names in the files."""


class SnapshotDataset(Dataset):
    """A table whose newest partition on or before `--as-of` has the complete current state."""

    max_age_days: Whole = Field(default=14, ge=0, le=MAX_DAYS)
    """Days that the newest partition may be older than `--as-of`; if it is older, the run stops."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Our column name → the name in the files, if different. `segment` of `audience` (a country, an age group) is read
    only if it is named here: drift then sees a segment that is lost."""


SNAPSHOTS = ("subscriptions", "sources", "blocks", "audience")
"""The snapshot datasets that a product may have."""
IMPRESSIONS = "impressions"
"""Name of the dataset of what was shown."""


class Datasets(Strict):
    """The datasets that the product reads; one event dataset is enough."""

    events: dict[str, EventDataset] = Field(min_length=1)
    """Event datasets by name."""
    subscriptions: SnapshotDataset | None = None
    """(user_id, source_id): sources that users follow; never recommended to them."""
    sources: SnapshotDataset | None = None
    """(source_id, status, category, owner_id, created_at) of all sources; one that is missing is not eligible."""
    blocks: SnapshotDataset | None = None
    """(user_id, source_id): sources that users blocked; never recommended to them."""
    audience: SnapshotDataset | None = None
    """(user_id) of all users who must get a list; null: every user with interactions or exclusions."""
    impressions: ImpressionDataset | None = Field(default=None, exclude=True)
    """Sources that users were shown; null: what was shown is not known, and hits are counted per answer."""

    @property
    def every(self) -> dict[str, Dataset]:
        """Every dataset that the settings name, also the one that no run reads."""
        return {**self.by_name, **({} if self.impressions is None else {IMPRESSIONS: self.impressions})}

    @property
    def by_name(self) -> dict[str, Dataset]:
        """Every dataset that runs read by name, event datasets first."""
        snapshots = {name: getattr(self, name) for name in SNAPSHOTS}
        return {**self.events, **{name: dataset for name, dataset in snapshots.items() if dataset is not None}}

    @model_validator(mode="after")
    def _names_differ(self) -> "Datasets":
        if odd := [name for name in self.events if not is_folder_name(name)]:
            raise ValueError(f"event dataset {odd[0]!r}: no folder for its daily partials can have this name")
        if taken := sorted(self.events.keys() & set(SNAPSHOTS)):
            raise ValueError(f"event dataset {taken[0]!r} has the name of a snapshot dataset; give it another one")
        if self.impressions is not None and IMPRESSIONS in self.events:
            raise ValueError(f"event dataset {IMPRESSIONS!r} has the name of what was shown; give it another one")
        return self
