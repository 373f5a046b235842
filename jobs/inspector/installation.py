"""The products of an installation: their settings, their runs' folders, and Redis as far as it answers."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from conf.environment import Environment
from conf.errors import DiscoveryError
from conf.experiment import CONTROL_SUFFIX
from conf.ids import IdKind, UserId, is_id, parse_int64
from conf.settings import Settings
from jobs.inspector.archive import Archive
from jobs.run.manifest import KeptRun, Manifest, find_run, kept_runs, run_folder
from jobs.storage.bound_folder import MANIFEST
from jobs.storage.store import Storage
from publish.connect.redis_clients import StoreClient, redis_client

_REMEDY = "what this page would say of it is not what was served: restore that folder from a copy"
_PATIENCE_SECONDS = 1.0
"""How long Redis may take to answer before the page does without it."""


class NotHere(DiscoveryError):
    """What was asked for does not exist."""


class BadId(DiscoveryError):
    """A text that no user or source of the product can be called."""


@dataclass(frozen=True)
class BrokenRun:
    """A run whose manifest cannot be read."""

    run_id: str
    why: str


@dataclass(eq=False)
class Product:
    """One product; a folder of a run is opened once, so that its tables' digests are compared once."""

    settings: Settings
    environment: Environment
    patience: float = _PATIENCE_SECONDS
    _client: StoreClient | None = None
    _archive: Archive | None = None
    _kept: dict[str, tuple[str, KeptRun]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def name(self) -> str:
        """The product's name."""
        return self.settings.product

    @property
    def ids(self) -> IdKind:
        """The kind of its ids."""
        return self.settings.ids

    @property
    def home(self) -> Storage:
        """The work folder."""
        return Storage(self.environment.home)

    @property
    def archive(self) -> Archive:
        """Its kept runs and daily partials, with copies that make looks quick."""
        with self._lock:
            if self._archive is None:
                self._archive = Archive(self.home, self.name, copies=True)
            return self._archive

    def client(self) -> StoreClient:
        """Returns a client of Redis; raises StoreUnreachable and ConfigError."""
        with self._lock:
            if self._client is None:
                self._client = redis_client(self.environment.need_redis(), timeout=self.patience)
            return self._client

    def parsed(self, text: str) -> UserId:
        """Returns the id of a user or source that a person typed; raises BadId where nothing can be called so."""
        text = text.strip() if self.ids == "int64" else text
        found = (text if is_id(text) else None) if self.ids == "string" else parse_int64(text)
        if found is None:
            kind = "whole numbers" if self.ids == "int64" else "texts of 1 … 255 bytes"
            raise BadId(f"{text!r:.300} is no id of {self.name}: its ids are {kind}")
        return found

    def run_ids(self) -> list[str]:
        """Returns the ids of runs that have a folder, the newest first."""
        at = self.home.child(f"runs/{self.name}")
        return [name for name in reversed(kept_runs(self.home, self.name)) if at.exists(f"{name}/{MANIFEST}")]

    def runs(self) -> tuple[list[KeptRun], list[BrokenRun]]:
        """Returns the runs that have a folder, the newest first, and those that cannot be read."""
        found, broken = list[KeptRun](), list[BrokenRun]()
        for run_id in self.run_ids():
            try:
                found.append(self.run(run_id))
            except DiscoveryError as fault:
                broken.append(BrokenRun(run_id, str(fault)))
        return sorted(found, key=lambda one: _order(one.manifest), reverse=True), broken

    def run(self, run_id: str) -> KeptRun:
        """Returns a run by its id; raises NotHere, and ChangedSince for one that is not as the run left it."""
        gone = f"there is no folder of a run {run_id!r:.200} of {self.name}: it was deleted, or never was"
        if not _is_name(run_id):
            raise NotHere(gone)
        mark = _stamp(run_folder(self.home, self.name, run_id))
        known = self._kept.get(run_id)
        if known is None or known[0] != mark:
            found = find_run(self.home, self.name, run_id, remedy=_REMEDY)
            if found is None:
                raise NotHere(gone)
            known = self._kept[run_id] = mark, found
        return known[1]


def _stamp(folder: Storage) -> str:
    """Returns size and time of the manifest."""
    return next((f"{info.size} {info.mtime_ns}" for info in folder.files() if info.base_name == MANIFEST), "")


def _order(manifest: Manifest) -> tuple[int, str, str]:
    """Newer is the larger epoch; of two arms the treatment is newer."""
    return manifest.epoch or 0, manifest.request.run_id.removesuffix(CONTROL_SUFFIX), manifest.request.run_id


def _is_name(text: str) -> bool:
    """Returns whether it can be the name of a run's folder, and leads nowhere else."""
    return bool(text) and text.isascii() and text.replace("-", "").isalnum()


@dataclass(frozen=True)
class Installation:
    """All products that are looked at."""

    products: Sequence[Product]

    def product(self, name: str) -> Product:
        """Returns a product by its name; raises NotHere."""
        found = next((one for one in self.products if one.name == name), None)
        if found is None:
            known = ", ".join(one.name for one in self.products)
            raise NotHere(f"there is no product {name!r:.200} here; there are: {known}")
        return found
