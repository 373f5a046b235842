"""Settings of the datasets that a product reads: where they lie, how they are dirty, what a gap in them means."""

from typing import Literal

from pydantic import Field, model_validator

from conf.base import MAX_DAYS, Number, Strict, Whole
from conf.location import is_folder_name
from conf.windows import WindowText


class Columns(Strict):
    """Names of the columns in the files; the product's own names are the defaults."""

    user_id: str = "user_id"
    """Column with the user."""
    source_id: str = "source_id"
    """Column with the source."""
    event: str = "event"
    """Column with the event's name."""
    ts: str = "ts"
    """Column with the UTC time of the event."""
    weight: str | None = None
    """Column that multiplies an event's weight (a quantity, a duration); none: every event counts once. What is not 0
    must be between 6e-8 and 1e9, of either sign: other rows are bad rows."""


class Dataset(Strict):
    """A folder of `dt=YYYY-MM-DD/*.parquet`."""

    path: str
    """Path, relative to `data_root`, or URI of the folder; docs/storage.md says what may lie in it."""
    success_marker: str | None = "_SUCCESS"
    """File that marks a partition as complete; a partition without it counts as missing. null: never asked for."""


class EventDataset(Dataset):
    """Events of users with sources, read over a sliding window of days."""

    window: WindowText = "28 days ago:today"
    """Half-open window of UTC days relative to `--as-of`, e.g. "10 days ago:today" for the ten complete days before."""
    on_missing: Literal["fail", "wait", "shrink"] = "fail"
    """A missing or empty partition: `fail` stops the run, `wait` exits 75 so that the scheduler retries, `shrink` goes
    on without it and records it in the manifest."""
    max_missing_days: Whole = Field(default=1, ge=0, le=MAX_DAYS)
    """With `shrink`: days that may be missing or empty in the window before the run stops all the same."""
    day_of: Literal["event", "ingestion"] = "event"
    """What `dt` is: the day of the event (every `ts` lies in it) or the day on which the event arrived."""
    lateness_days: Whole = Field(default=0, ge=0, le=MAX_DAYS)
    """With `day_of: ingestion`: days that an event may be older than its partition; later ones are bad rows."""
    ignore_events: tuple[str, ...] = ()
    """Event names that are left out on purpose; any other name without a weight stops the run."""
    bad_row_budget: Number = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of a day's rows that may be dropped for unusable ids, names, times or weights; what was dropped is counted
    in the manifest."""
    columns: Columns = Columns()
    """Names of the columns in the files."""


class SnapshotDataset(Dataset):
    """A table whose newest partition before or on `--as-of` holds everything that is true now."""

    max_age_days: Whole = Field(default=14, ge=0, le=MAX_DAYS)
    """Days that the newest partition may be older than `--as-of` before the run stops."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Our column name → the name in the files, where they differ."""


SNAPSHOTS = ("subscriptions", "sources", "blocks", "audience")
"""The snapshot datasets that a product may have."""


class Datasets(Strict):
    """What the product reads; one event dataset and nothing else is enough."""

    events: dict[str, EventDataset] = Field(min_length=1)
    """Event datasets by name, each with a window and policies of its own."""
    subscriptions: SnapshotDataset | None = None
    """(user_id, source_id) that users follow already: never recommended to them."""
    sources: SnapshotDataset | None = None
    """(source_id, status, category, owner_id, created_at): the catalogue; what is not in it is not eligible."""
    blocks: SnapshotDataset | None = None
    """(user_id, source_id) that users blocked: never recommended to them."""
    audience: SnapshotDataset | None = None
    """(user_id) of everybody who must get a list; none: every user with interactions or exclusions."""

    @property
    def by_name(self) -> dict[str, Dataset]:
        """Every dataset that the product has, the event datasets first."""
        snapshots = {name: getattr(self, name) for name in SNAPSHOTS}
        return {**self.events, **{name: dataset for name, dataset in snapshots.items() if dataset is not None}}

    @model_validator(mode="after")
    def _names_differ(self) -> "Datasets":
        if odd := [name for name in self.events if not is_folder_name(name)]:
            raise ValueError(f"event dataset {odd[0]!r}: no folder for its daily partials can have this name")
        if taken := sorted(self.events.keys() & set(SNAPSHOTS)):
            raise ValueError(f"event dataset {taken[0]!r} has the name of a snapshot dataset; give it another one")
        return self
