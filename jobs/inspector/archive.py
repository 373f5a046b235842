"""The runs of one product that are kept, opened once each; what is read of them is checked at each look."""

import json
import shutil
import tempfile
import threading
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from conf.digest import sha256_of
from conf.ids import IdKind, UserId
from jobs.inspector.rows import UserRows, sorted_copy
from jobs.inspector.sources import RunSources, counts_in, read_sources
from jobs.run.manifest import KeptRun, NoRun, find_run, kept_runs, run_folder
from jobs.run.run_id import RunId
from jobs.storage.dataset_names import PARTIAL_RECORD, folder_of
from jobs.storage.digests import listing_of
from jobs.storage.store import Storage
from models.explain.contributions import TrainedSources
from models.training.confidences import Constants, Counts

_UNSORTED = ("lists", "shadow", "exclusions")
"""Tables of a run whose rows are in no order of users."""
_LARGE_GROUP = 2**25
"""Bytes of a row group from which a sorted table is copied, too."""
_OPEN_RUNS = 4
"""Runs that are held open at once."""


@dataclass(eq=False)
class OpenRun:
    """One run; what is read is compared with what its stages wrote, and refused by name if it was changed."""

    kept: KeptRun
    cache: Path
    copies: bool
    """Whether copies sorted by user are kept of tables that are not."""
    _tables: dict[str, tuple[str, UserRows]] = field(default_factory=dict)
    _counts: dict[str, Counts] = field(default_factory=dict)
    _trained: TrainedSources | None = None

    @property
    def name(self) -> str:
        """The run id."""
        return self.kept.manifest.request.run_id

    @property
    def ids(self) -> IdKind:
        """The kind of its ids."""
        kind: IdKind = self.settings["ids"]
        return kind

    @property
    def settings(self) -> dict[str, Any]:
        """Its settings as JSON, since newer code may not parse those of an old run."""
        return self.kept.manifest.settings

    def fact(self, stage: str, name: str, default: Any = None) -> Any:
        """Returns a fact of a stage; `default` if there is none."""
        record = self.kept.manifest.stages.get(stage)
        return default if record is None else record.facts.get(name, default)

    def has(self, table: str) -> bool:
        """Returns whether the run finished a table. Raises ChangedSince."""
        return self.kept.folder.finished(table)

    def rows(self, table: str, user: UserId, columns: Sequence[str]) -> pa.Table:
        """Returns a user's rows of a table, which must be unchanged. Raises ChangedSince, NotFinished."""
        self.kept.folder.table(table)
        digest = digest_of(listing_of(self.kept.folder, table))
        known = self._tables.get(table)
        if known is None or known[0] != digest:
            self._tables[table] = known = digest, self._opened(table, digest)
        return known[1].of(user, columns)

    def prepare(self) -> None:
        """Makes what the first look would wait for. Raises ChangedSince."""
        nobody: UserId = 0 if self.ids == "int64" else ""
        for table in filter(self.has, _UNSORTED):
            self.rows(table, nobody, ["user_id"])
        if self.has("source_factors"):
            _ = self.sources

    def _opened(self, table: str, digest: str) -> UserRows:
        found = UserRows(self.kept.folder, table)
        if self.copies and (table in _UNSORTED or found.largest_group > _LARGE_GROUP):
            at = Storage(str(self.cache / f"{table}-{digest}"))
            return UserRows(sorted_copy(self.kept.folder, table, at))
        return found

    @cached_property
    def sources(self) -> RunSources:
        """The sources with factors. Raises ChangedSince."""
        for table in ("source_factors", "sources"):
            self.kept.folder.table(table)
        digest = digest_of(listing_of(self.kept.folder, "source_factors"))
        return read_sources(self.kept.folder, self.ids, self.cache / f"sources-{digest}")

    def trained(self, constants: Mapping[str, float]) -> TrainedSources:
        """Returns the sources as a training of these constants has them."""
        known = Constants(**constants)
        if self._trained is None or self._trained.constants != known:
            self._trained = TrainedSources(self.sources.factors, known)
        return self._trained

    def counts(self, table: str) -> Counts:
        """Returns the interactions of each source in one of the tables that a training reads."""
        if table not in self._counts:
            self._counts[table] = self._count(table)
        return self._counts[table]

    def _count(self, table: str) -> Counts:
        if table == "interactions":
            return self.sources.users
        return counts_in(self.kept.folder, table, "users" if table == "trained_sources" else None, self.sources)


class Archive:
    """The kept runs and daily partials of one product. Safe to share between threads."""

    def __init__(self, home: Storage, product: str, *, copies: bool = False) -> None:
        """`copies`: for a process that is asked often: a look becomes quicker once a run was looked at."""
        self.home, self.product, self.copies = home, product, copies
        self.cache = self._cache_folder()
        self._open: dict[str, OpenRun] = {}
        self._days: dict[str, UserRows] = {}
        self._lock = threading.RLock()

    def open(self, run: str) -> OpenRun:
        """Returns a run whose folder is kept. Raises NoRun, ChangedSince, ConfigError for what is no run id."""
        RunId.parse(run)
        kept = find_run(self.home, self.product, run)
        if kept is None:
            newest = ", ".join(self.runs()[:5]) or "none"
            raise NoRun(f"the folder of run {run} of {self.product} is gone; of the kept ones the newest: {newest}")
        with self._lock:
            known = self._open.pop(run, None)
            if known is None or known.kept.manifest != kept.manifest:
                self._prune()
                known = OpenRun(kept, self.cache / run, self.copies)
            self._open[run] = known
            while len(self._open) > _OPEN_RUNS:
                del self._open[next(iter(self._open))]
        return known

    def runs(self) -> list[str]:
        """Returns the runs whose folders are kept, the newest first."""
        return sorted(kept_runs(self.home, self.product), reverse=True)

    def newest(self) -> str:
        """Returns the newest run that has lists. Raises NoRun."""
        for run in self.runs():
            if run_folder(self.home, self.product, run).finished("lists"):
                return run
        raise NoRun(f"no run of {self.product} has lists yet, in {self.home.uri}")

    def partials(self, names: Sequence[str], day: Any, fingerprint: str) -> UserRows | None:
        """Returns the daily partials of a day by the first of these names that were made of that data, if any."""
        at = self.home.child(f"partials/{self.product}")
        for name in names:
            folder = f"{name}/{folder_of(day)}"
            record = _record(at, folder)
            if record is not None and record.get("fingerprint") == fingerprint:
                return self._day(at, folder, digest_of((folder, record)))
        return None

    def _day(self, at: Storage, folder: str, digest: str) -> UserRows:
        known = self._days.get(digest)
        if known is None:
            copy = Storage(str(self.cache / "partials" / digest))
            known = UserRows(sorted_copy(at, folder, copy)) if self.copies else UserRows(at, folder)
            with self._lock:
                self._days[digest] = known
        return known

    def _cache_folder(self) -> Path:
        """Returns a local folder for arrays and copies: below the work folder, else one of this process."""
        at = self.home.child(f"cache/inspector/{self.product}").local_path
        try:
            if at is not None:
                at.mkdir(parents=True, exist_ok=True)
                (at / ".writable").touch()
                return at
        except OSError:
            pass
        own = Path(tempfile.mkdtemp(prefix="discovery-inspector-"))
        weakref.finalize(self, shutil.rmtree, own, ignore_errors=True)
        return own

    def _prune(self) -> None:
        """Deletes what was kept of runs and days that are gone: what is forgotten there must not stay here."""
        runs = {*self.runs()}
        at = self.home.child(f"partials/{self.product}")
        days = set()
        for path, _ in at.tree("") if at.exists("") else ():
            folder, _, file = path.rpartition("/")
            if file == PARTIAL_RECORD and (record := _record(at, folder)) is not None:
                days.add(digest_of((folder, record)))
        for kept in (*self.cache.glob("*"), *self.cache.glob("partials/*")):
            if kept.is_dir() and kept.name != "partials" and kept.name not in (runs | days):
                shutil.rmtree(kept, ignore_errors=True)


def _record(at: Storage, folder: str) -> dict[str, Any] | None:
    try:
        return dict(json.loads(at.read_bytes(f"{folder}/{PARTIAL_RECORD}")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def digest_of(content: Any) -> str:
    """Returns a short name of a content."""
    return sha256_of(json.dumps(content, sort_keys=True, default=str))[:24]
