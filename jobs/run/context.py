"""What the making of a run's tables needs: its settings, its folder, Spark, and who was forgotten."""

import datetime as dt
import shutil
import tempfile
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conf.contract import IdKind
from conf.settings import Settings
from conf.share import Share
from jobs.run.manifest import Manifest, StageRecord, bound_folder, load_manifest, run_folder, save_manifest
from jobs.run.servers import RunServers
from jobs.runtime.log import log
from jobs.storage.bound_folder import MANIFEST, BoundFolder, ChangedSince
from jobs.storage.erased import Erased
from jobs.storage.folders import folders_of
from jobs.storage.store import Storage
from models.champion import Contest, contest_of
from publish.errors import LeaseLost
from publish.runs.lease import Lease

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from jobs.storage.tables import Tables


_RESTORE = "restore that folder from a copy"


@dataclass(frozen=True)
class KeptRun:
    """A former run as it was left."""

    manifest: Manifest
    folder: BoundFolder


class RunContext(ABC):
    """Where tables of one run are made: those that it keeps, or once more to compare."""

    def __init__(self, settings: Settings, home: Storage, manifest: Manifest, folder: BoundFolder) -> None:
        self.settings = settings
        self.home = home
        self.manifest = manifest
        self.folder = folder
        self._owns_session = False
        self._erased: Erased | None = None
        self._kept: dict[str, KeptRun] = {}

    @property
    def run_id(self) -> str:
        """The run's name."""
        return self.manifest.request.run_id

    @property
    def as_of(self) -> dt.date:
        """The day of the run."""
        return self.manifest.request.as_of

    @property
    def ids(self) -> IdKind:
        """Kind of the ids."""
        return self.settings.ids

    @property
    def contest(self) -> Contest:
        """Who competes in the run, once its features are made."""
        return contest_of(self.settings, self.manifest.champion, self.manifest.fact("features", "champion_fault"))

    @property
    def share(self) -> Share:
        """Share of the audience that the run computes and may serve."""
        return Share(self.manifest.request.share_bp)

    @property
    def data(self) -> Storage:
        """Where the datasets lie."""
        return self.home.child(self.settings.data_root)

    @property
    def partials(self) -> Storage:
        """Where the product's daily partials are kept between runs."""
        return self.home.child(f"partials/{self.settings.product}")

    @cached_property
    def spark(self) -> "SparkSession":
        """The Spark session, started when a stage first needs it."""
        from pyspark.sql import SparkSession  # here, because the operator's commands work without Spark

        from jobs.run.session import open_session

        is_first = SparkSession.getActiveSession() is None
        folders = folders_of(self.home, self.settings).values()
        session = open_session(f"{self.settings.product} {self.run_id}", self.settings.spark, folders)
        self._owns_session = is_first
        return session

    @property
    def tables(self) -> "Tables":
        """The run's tables as DataFrames, without erased users."""
        from jobs.storage.tables import Tables

        return Tables(self.spark, self.folder, self.erased.users)

    @property
    def erased(self) -> Erased:
        """Users who were forgotten, as of when the stage first asked; raises BrokerUnreachable, MalformedMessage."""
        if self._erased is None:
            self._erased = self._read_erased()
        return self._erased

    @abstractmethod
    def _read_erased(self) -> Erased:
        """Returns users who are forgotten now."""

    def begin_stage(self, name: str) -> None:
        """Lets the stage look anew at tables, and for who was forgotten: the one before may have taken hours."""
        self._erased = None
        self._kept.clear()
        self.folder.begin(name)

    def kept_run(self, run_id: str) -> KeptRun | None:
        """Returns a former run of the product, of which nothing is given that was changed since; None: it is gone.

        The champion's manifest must be the one that MLflow was told of, too. Raises ChangedSince.
        """
        if run_id not in self._kept:
            manifest = load_manifest(run_folder(self.home, self.settings.product, run_id))
            if manifest is None:
                return None
            self._check_champion(manifest)
            if not manifest.bound:
                log.warning(
                    "warning   run %s was made by code that kept no digests (%s): whether its folder is as it left it "
                    "is not known",
                    run_id,
                    manifest.code_version,
                )
            folder = bound_folder(self.home, manifest, remedy=_RESTORE)
            self.folder.depend_on(folder)
            self._kept[run_id] = KeptRun(manifest, folder)
        return self._kept[run_id]

    def _check_champion(self, manifest: Manifest) -> None:
        champion, run_id = self.manifest.champion, manifest.request.run_id
        if champion is None or champion.run_id != run_id or champion.judged in (None, manifest.judged):
            return
        raise ChangedSince(
            f"{MANIFEST} of run {run_id} is not the one that gate 2 passed, as version {champion.version} in MLflow "
            f"tells; {_RESTORE}"
        )

    @property
    def left_out(self) -> dict[str, Any]:
        """For the manifest: who the stage left out; nothing for a stage that read nothing of users."""
        return {} if self._erased is None else {"erased": self._erased.fact}

    @cached_property
    def scratch(self) -> Path:
        """A local folder that lives as long as this attempt."""
        return Path(tempfile.mkdtemp(prefix="discovery-"))

    def close(self) -> None:
        """Stops the Spark session if this one started it, and deletes what it left on this machine."""
        if "scratch" in self.__dict__:
            shutil.rmtree(self.scratch, ignore_errors=True)
        if self._owns_session:
            self.spark.stop()


class Run(RunContext):
    """A run while a stage works on it."""

    def __init__(
        self, settings: Settings, home: Storage, servers: RunServers, lease: Lease, manifest: Manifest
    ) -> None:
        super().__init__(settings, home, manifest, bound_folder(home, manifest, remedy="start a new run"))
        self.servers = servers
        self.lease = lease

    def _read_erased(self) -> Erased:
        return Erased.read(self.servers.kafka, self.settings.product, self.ids)

    def check_lease(self) -> None:
        """Raises LeaseLost when another run may be on its way."""
        self.lease.check()

    def keep(self, manifest: Manifest) -> None:
        """Makes `manifest` the run's, in memory and in its folder."""
        self.manifest = manifest
        save_manifest(self.folder, manifest)

    def keep_stage(self, name: str, record: StageRecord) -> None:
        """Notes that a stage is finished, and with what it left."""
        self.keep(self.manifest.with_stage(name, record))
        self.folder.bind(name, record.made)

    def note_failure(self, error: BaseException) -> None:
        """Keeps why this attempt stops, unless the folder may be another attempt's by now."""
        with suppress(LeaseLost):
            self.check_lease()
            try:
                self.keep(self.manifest.model_copy(update={"failure": f"{type(error).__name__}: {error}"}))
            except OSError as fault:  # `error` is the one to tell
                log.warning("warning   the manifest could not be written: %s", fault)
