"""Daily partials that `discovery drift backfill` made: it leaves the newest ones to the next run of the product.

A run compares its new days with the four weeks before them. The folder of partials belongs to runs, one at a time;
so a backfill has a folder of its own, and the next run takes over what it lacks.
"""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from jobs.storage.dataset_names import PARTIAL_RECORD as RECORD
from jobs.storage.dataset_names import days_among, folder_of
from jobs.storage.store import Storage

_COMPLETE = "complete"
"""File that says that nothing is added any more."""


@dataclass(frozen=True)
class Backfilled:
    """The folder of a backfill: like that of the partials of runs."""

    at: Storage

    @classmethod
    def of(cls, home: Storage, product: str) -> "Backfilled":
        """Returns that of a product."""
        return cls(home.child(f"drift-backfill/{product}"))

    def leave(self, names: Collection[str], since: dt.date) -> None:
        """Leaves the days of these datasets from `since` on to the next run, and deletes older ones."""
        for name in names:
            for day in days_among(self.at.files(name)):
                if day < since:
                    self.at.delete(f"{name}/{folder_of(day)}")
        self.at.write_bytes(_COMPLETE, b"")

    def take_over(self, kept: Storage, names: Collection[str]) -> int:
        """Copies days that the partials of runs lack, and deletes the folder. Returns the number of days.

        A record comes last, so that half a day is none.
        """
        if not self.at.exists(_COMPLETE):
            return 0
        copied = 0
        for name in names:
            there = {*days_among(kept.files(name))}
            for day in days_among(self.at.files(name)):
                folder = f"{name}/{folder_of(day)}"
                if day not in there and self.at.exists(f"{folder}/{RECORD}"):
                    files = [path for path, _ in self.at.tree(folder) if path != RECORD]
                    for path in (*files, RECORD):
                        kept.write_bytes(f"{folder}/{path}", self.at.read_bytes(f"{folder}/{path}"))
                    copied += 1
        self.at.delete("")
        return copied
