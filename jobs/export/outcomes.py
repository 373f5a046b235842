"""What is known of what users did: the measured days, and until when answers have been landed."""

import datetime as dt
from collections.abc import Mapping, Sequence
from itertools import product as pairs

from pyarrow import fs

from conf.settings import Settings
from jobs.export.kept import Kept, Last
from jobs.export.metrics import ARMS
from jobs.export.samples import Readable, Sample, Samples, at, end_of, known
from jobs.exposures.store import STATE, LandingStore
from jobs.outcomes.store import OutcomeStore, Record
from jobs.storage.dataset_names import day_of, days_among, folder_of
from jobs.storage.recorded_table import RECORD
from jobs.storage.store import Storage
from models.outcomes.basis import Basis
from models.outcomes.figures import Figures

_DAYS = 7
"""Newest mature days whose figures are added up: each day of the week once."""


class OutcomeSource(Readable):
    """The measured days of one product."""

    def __init__(self, settings: Settings, home: Storage) -> None:
        self._store = OutcomeStore.of(home, settings.product)
        self._landing = LandingStore.of(home, settings.product)
        self._records = Kept(self._record)
        self._landed = Kept(self._landed_at)
        self._figures: Last[tuple[str, ...], Mapping[tuple[Basis, str], Figures]] = Last()

    def read(self) -> Samples:
        """Yields what there is; raises what a file raises that cannot be read."""
        for landed in self._landed.of(self._landing.at, [STATE]).values():
            yield from at("discovery_run_outcome_landed_timestamp_seconds", landed)
        days = days_among(self._store.at.files())
        found = self._records.of(self._store.at, (f"{folder_of(day)}/{RECORD}" for day in days))
        records = sorted((one for one in found.values() if one is not None), key=lambda one: one.day)
        mature = [one for one in records if one.mature]
        for name, some in (("measured", records), ("mature", mature)):
            if some:
                yield from at(f"discovery_run_outcome_{name}_timestamp_seconds", end_of(some[-1].day))
        newest = mature[-_DAYS:]
        sums = self._figures.of(tuple(one.sha256 for one in newest), lambda: self._sums(newest))
        for (basis, arm), one in sums.items():
            yield from _hits(one, arm=arm, basis=str(basis))

    def _record(self, path: str, info: fs.FileInfo) -> Record | None:
        day = day_of(path.partition("/")[0])
        return None if day is None else self._store.record(day)

    def _landed_at(self, path: str, info: fs.FileInfo) -> dt.datetime | None:
        return self._landing.state().landed_at

    def _sums(self, records: Sequence[Record]) -> dict[tuple[Basis, str], Figures]:
        rows = [row for one in records for row in self._store.table(one).to_pylist() if row["by"] == "all"]
        found = {}
        for basis, arm in pairs(Basis, (*ARMS, "shadow")):
            if some := [row for row in rows if (row["basis"], row["arm"]) == (basis, arm)]:
                found[basis, arm] = Figures.sum(some)
        return found


def _hits(one: Figures, **labels: str) -> Samples:
    interval = one.interval
    yield from known("discovery_run_outcome_hits_per_answer", one.rate.value, **labels)
    for end in ("low", "high"):
        value = None if interval is None else getattr(interval, end)
        yield from known(f"discovery_run_outcome_hits_per_answer_{end}", value, **labels)
    yield from known("discovery_run_outcome_hits", one.hits, **labels)
    yield Sample("discovery_run_outcome_answers", one.answers, labels)
    yield from known("discovery_run_outcome_listed_new_ratio", one.new_share, **labels)
