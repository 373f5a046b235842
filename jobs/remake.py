"""A run made again: the same tables from the same manifest, in a folder of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

from conf.errors import Refused
from conf.settings import Settings
from jobs.bound_folder import BoundFolder
from jobs.build_features import features_for, write_features
from jobs.erased import Erased
from jobs.fit import Fit, fit
from jobs.lineage_record import Decision
from jobs.manifest import Manifest, run_folder
from jobs.precompute_topn import make_lists
from jobs.refresh import refresh
from jobs.stage import Facts
from jobs.storage import Storage
from jobs.train_embeddings import refit_of
from jobs.workbench import Workbench


class NothingToReproduce(Refused):
    """The run, or what this code can read of it, is not enough to make it again."""


class Remake(Workbench):
    """A run made again in a folder of its own, with daily partials of its own; reads datasets and former runs only."""

    def __init__(self, settings: Settings, home: Storage, manifest: Manifest, forgotten: Erased) -> None:
        self.at = home.child(f"reproduced/{settings.product}/{manifest.request.run_id}")
        folder = BoundFolder(
            self.at.child("run").uri, manifest.request.run_id, {}, remedy="reproduce the run once more"
        )
        super().__init__(settings, home, manifest, folder)
        self.begin_stage("reproduce")
        self.original = run_folder(home, settings.product, self.run_id)
        self._forgotten = forgotten

    @property
    def partials(self) -> Storage:
        """Not those of the runs: how a day is aggregated is reproduced as well."""
        return self.at.child("partials")

    def _read_erased(self) -> Erased:
        return self._forgotten

    @cached_property
    def training(self) -> Fit:
        """What was published; its table of interactions is that of a refresh, too."""
        return refit_of(self, self.contest, Decision.model_validate(self.manifest.fact("train", "decision")))

    @property
    def rival(self) -> Settings | None:
        """Settings of the champion's recipe, where the factors are of its interactions."""
        return None if self.training.interactions == "interactions" else self.contest.champion


@contextmanager
def made_again(remake: Remake, *, keep: bool) -> Iterator[Facts]:
    """Everything made again, as long as it is looked at; gives what is known of the training."""
    remake.at.delete("")  # of an attempt that was killed
    try:
        yield _make(remake)
    finally:
        remake.close()
        if not keep:
            remake.at.delete("")


def _make(remake: Remake) -> Facts:
    features = features_for(remake, remake.rival)
    if remake.rival is not None and features.champion is None:
        raise NothingToReproduce(f"the champion's recipe cannot be made any more: {features.champion_fault}")
    write_features(remake, features, ("interactions", "exclusions", "sources", "audience", "champion_interactions"))
    features.release()
    refreshed = remake.manifest.request.refresh
    training: Facts = refresh(remake)["training"] if refreshed else fit(remake, remake.training)
    make_lists(remake)
    return training
