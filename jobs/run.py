"""One run while a stage works on it: its folder, manifest, lease and edges."""

from contextlib import suppress

from conf.settings import Settings
from jobs.edges import Edges
from jobs.erased import Erased
from jobs.log import log
from jobs.manifest import Manifest, StageRecord, bound_folder, save_manifest
from jobs.storage import Storage
from jobs.workbench import Workbench
from publish.errors import LeaseLost
from publish.runs.lease import Lease


class Run(Workbench):
    """A run while a stage works on it."""

    def __init__(self, settings: Settings, home: Storage, edges: Edges, lease: Lease, manifest: Manifest) -> None:
        super().__init__(settings, home, manifest, bound_folder(home, manifest, remedy="start a new run"))
        self.edges = edges
        self.lease = lease

    def _read_erased(self) -> Erased:
        return Erased.read(self.edges.kafka, self.settings.product, self.ids)

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
