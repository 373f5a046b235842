"""What making a run's tables needs: its settings, its folder, Spark, and the forgotten users."""

import datetime as dt
import shutil
import tempfile
from abc import ABC, abstractmethod
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conf.ids import IdKind
from conf.settings import Settings
from conf.share import Share
from expectations.drift.findings import Excluded
from jobs.run.manifest import RESTORE, KeptRun, Manifest, StageRecord, bound_folder, find_run, save_manifest
from jobs.run.servers import RunServers
from jobs.runtime.log import log
from jobs.storage.bound_folder import MANIFEST, BoundFolder, ChangedSince
from jobs.storage.drift import DriftStore
from jobs.storage.erased import Erased
from jobs.storage.folders import folders_of
from jobs.storage.store import Storage
from models.champion import Contest, contest_of
from publish.errors import LeaseLost
from publish.runs.lease import Lease

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from jobs.storage.tables import Tables


class RunContext(ABC):
    """Where the tables of one run are made: for the run itself, or again to compare them."""

    def __init__(self, settings: Settings, home: Storage, manifest: Manifest, folder: BoundFolder) -> None:
        self.settings = settings
        self.home = home
        self.manifest = manifest
        self.folder = folder
        self._owns_session = False
        self._erased: Erased | None = None
        self._excluded: tuple[Excluded, ...] | None = None
        self._kept: dict[str, KeptRun] = {}

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self.manifest.request.run_id

    @property
    def as_of(self) -> dt.date:
        """The day of the run."""
        return self.manifest.request.as_of

    @property
    def ids(self) -> IdKind:
        """The kind of user and source ids."""
        return self.settings.ids

    @property
    def contest(self) -> Contest:
        """Whether the champion's recipe competes in this run; known once the features are made."""
        return self.contest_with(self.manifest.fact("features", "champion_fault"))

    def contest_with(self, fault: str | None = None) -> Contest:
        """Returns who competes; fault: why the champion's interactions could not be made, if so."""
        part = self.manifest.experiment
        return contest_of(self.settings, self.manifest.champion, fault, None if part is None else part.experiment)

    @property
    def is_control(self) -> bool:
        """Whether the run is the control of an experiment."""
        return self.manifest.experiment is not None and self.manifest.experiment.is_control

    @property
    def is_popular(self) -> bool:
        """Whether its lists are popular sources, as a control of its kind has them; nothing is trained then."""
        return self.manifest.experiment is not None and self.manifest.experiment.is_popular

    @property
    def drift_store(self) -> DriftStore:
        """What is known of earlier runs of the same arm."""
        part, store = self.manifest.experiment, DriftStore.of(self.home, self.settings.product)
        since = part.opened if part is not None and part.is_control else None
        return store.of_arm(since)

    @property
    def share(self) -> Share:
        """Share of the audience that the run computes and may serve."""
        return self.manifest.request.share_bp

    @property
    def data(self) -> Storage:
        """The folder of the datasets."""
        return self.home.child(self.settings.data_root)

    @property
    def partials(self) -> Storage:
        """The folder of the product's daily partials, which runs share."""
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
        """Users who were forgotten, read once per stage. Raises BrokerUnreachable, MalformedMessage."""
        if self._erased is None:
            self._erased = self._read_erased()
        return self._erased

    @abstractmethod
    def _read_erased(self) -> Erased:
        """Returns the users who are forgotten now."""

    @property
    def excluded(self) -> tuple[Excluded, ...]:
        """Days of datasets that the run leaves out. Raises DamagedHistory.

        Those that are excluded when the features begin; what operators decide later is no part of the run.
        """
        if self._excluded is None:
            then = self.manifest.excluded
            now = DriftStore.of(self.home, self.settings.product)
            self._excluded = now.decisions().excluded if then is None else then
        return self._excluded

    def begin_stage(self, name: str) -> None:
        """Makes the stage check tables and read forgotten users anew: the stage before may have taken hours."""
        self._erased = self._excluded = None
        self._kept.clear()
        self.folder.begin(name)

    def kept_run(self, run_id: str) -> KeptRun | None:
        """Returns an earlier run whose folder is unchanged; None if it is gone.

        The champion's manifest must also be the one whose digest is in MLflow. Raises ChangedSince.
        """
        if run_id not in self._kept:
            kept = find_run(self.home, self.settings.product, run_id)
            if kept is None:
                return None
            self._check_champion(kept.manifest)
            if not kept.manifest.bound:
                log.warning(
                    "warning   run %s was made by code that kept no digests (%s): whether its folder is as it left it "
                    "is not known",
                    run_id,
                    kept.manifest.code_version,
                )
            self.folder.depend_on(kept.folder)
            self._kept[run_id] = kept
        return self._kept[run_id]

    def _check_champion(self, manifest: Manifest) -> None:
        champion, run_id = self.manifest.champion, manifest.request.run_id
        if champion is None or champion.run_id != run_id or champion.judged in (None, manifest.judged):
            return
        raise ChangedSince(
            f"{MANIFEST} of run {run_id} is not the one that gate 2 passed, by its digest in version "
            f"{champion.version} in MLflow; {RESTORE}"
        )

    @property
    def left_out(self) -> dict[str, Any]:
        """Facts for the manifest about users and days that the stage left out, as far as it asked for them."""
        users = {} if self._erased is None else {"erased": self._erased.fact}
        if self._excluded is None:
            return users
        return {**users, "excluded": [one.model_dump(mode="json") for one in self._excluded]}

    @cached_property
    def scratch(self) -> Path:
        """A local folder that is deleted at the end of this attempt."""
        return Path(tempfile.mkdtemp(prefix="discovery-"))

    def close(self) -> None:
        """Stops the Spark session if this object started it, and deletes its local files."""
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
        """Raises LeaseLost when another run may have started."""
        self.lease.check()

    def keep(self, manifest: Manifest) -> None:
        """Makes `manifest` the run's manifest, in memory and in its folder."""
        self.manifest = manifest
        save_manifest(self.folder, manifest)

    def keep_stage(self, name: str, record: StageRecord) -> None:
        """Records a finished stage in the manifest and binds the digests of what it wrote."""
        self.keep(self.manifest.with_stage(name, record))
        self.folder.bind(name, record.made)

    def note_failure(self, error: BaseException) -> None:
        """Records in the manifest why this attempt stops, unless another attempt may own the folder by now."""
        with suppress(LeaseLost):
            self.check_lease()
            try:
                self.keep(self.manifest.model_copy(update={"failure": f"{type(error).__name__}: {error}"}))
            except OSError as fault:  # `error` is the one to report
                log.warning("warning   the manifest could not be written: %s", fault)
