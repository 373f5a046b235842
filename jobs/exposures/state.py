"""What a landing writes down: the batch that was decided, and, as its marker, everything that is known after it."""

import datetime as dt
from collections.abc import Mapping
from typing import Literal

from pydantic import AwareDatetime

from conf.base import Strict
from publish.exposures.writers import Intervals, missing_of

LossKind = Literal["retention", "recreated", "rewound"]


class Range(Strict):
    """Offsets of one partition, from `start` up to, not including, `end`."""

    partition: int
    start: int
    end: int


class Loss(Strict):
    """Records that vanished from the topic before they were landed."""

    kind: LossKind
    """`retention`: deleted, by Kafka or by hand; `recreated`: with the topic; `rewound`: the broker lost its newest."""
    partition: int | None
    answers: int | None
    """Offsets that are gone; None: nobody knows (the writers' numbers tell what is missing)."""
    at: AwareDatetime
    """When it was noticed."""


class Plan(Strict):
    """One batch, written down before anything of it is read: a killed landing goes on with the same one."""

    format: Literal[1] = 1
    batch: int
    """Number of the batch, 1 for the first."""
    topic_id: str
    ranges: tuple[Range, ...]
    losses: tuple[Loss, ...]
    """What was noticed when it was decided."""
    decided_at: AwareDatetime


class Cell(Strict):
    """Landed answers of one day, surface, run, kind and arm."""

    day: dt.date
    surface: str
    run: str | None
    kind: str
    arm: str
    answers: int


class WriterState(Strict):
    """What is known of one writer."""

    seen: Intervals = ()
    """Numbers of its answers that were in the topic."""
    last_ts: int
    """Its last sign of life, in milliseconds since 1970."""
    logged: int | None = None
    """Answers so far, as it said itself; None: it has said nothing yet."""
    dropped: Mapping[str, int] = {}
    """Of these, how many it dropped, as it said itself."""
    queue: int | None = None
    """Answers that may wait in it."""
    closed: bool = False

    @property
    def missing(self) -> int:
        """Answers that are not in the topic, among those that are known to have been logged."""
        return missing_of(self.seen, self.logged)


class Totals(Strict):
    """Counts over all batches."""

    landed: int = 0
    """Answers in files, those included that were deleted since."""
    erased: int = 0
    """Records of forgotten users, which were left out."""
    duplicates: int = 0
    """Records whose writer and number were landed before, which were left out."""
    unusable: int = 0
    """Records that cannot be read, kept aside in `_unusable/`."""
    former_writers: int = 0
    """Writers that are no longer listed: closed, or silent for longer than files are kept."""
    former_missing: int = 0
    """Answers of these that never came."""

    def plus(self, other: "Totals") -> "Totals":
        """Returns the sum."""
        mine, theirs = self.model_dump(), other.model_dump()
        return Totals(**{name: mine[name] + theirs[name] for name in mine})


class State(Strict):
    """Everything that is known after a batch; that it names the batch is the batch's marker."""

    format: Literal[1] = 1
    batch: int = 0
    topic_id: str | None = None
    positions: Mapping[int, int] = {}
    """Partition → the next offset to land."""
    landed_at: AwareDatetime | None = None
    totals: Totals = Totals()
    last: Totals = Totals()
    """Counts of this batch alone."""
    cells: tuple[Cell, ...] = ()
    """Landed answers by day, of the days that are kept."""
    writers: Mapping[str, WriterState] = {}
    losses: tuple[Loss, ...] = ()
    """The newest ones, the oldest first."""
    without: str = ""
    """SHA-256 of the forgotten users of whom no landed file holds anything."""
    purged: str = ""
    """SHA-256 of the forgotten users for whom the topic was purged last."""
