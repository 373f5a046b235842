"""A finished run on this machine, whose folder is read without its checks."""

from dataclasses import dataclass

import pyarrow.dataset as ds

from conf.settings import Settings
from jobs.run.manifest import Manifest, run_folder
from jobs.storage.store import Storage


@dataclass(frozen=True)
class FinishedRun:
    """A run and the work folder that holds its datasets and its own folder."""

    home: Storage
    manifest: Manifest

    @property
    def settings(self) -> Settings:
        """The settings of the run."""
        return Settings.model_validate(self.manifest.settings)

    @property
    def folder(self) -> Storage:
        """The folder of the run."""
        return run_folder(self.home, self.manifest.request.product, self.manifest.request.run_id)

    def table(self, name: str) -> ds.Dataset:
        """Returns a table of the run, lazily. Raises NotFinished."""
        return self.folder.table(name)
