"""Makes a run again: the same tables from the same manifest, in a folder of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

from conf.errors import Refused
from conf.settings import Settings
from conf.shadow import ShadowSample
from jobs.run.context import RunContext
from jobs.run.manifest import Manifest, run_folder
from jobs.stages.features import features_for, write_features
from jobs.stages.lists import make_lists
from jobs.stages.shadow import make_shadow_lists, sample_in
from jobs.stages.stage import Facts
from jobs.stages.training.fit import TrainingTask, fit
from jobs.stages.training.popular import popular_factors
from jobs.stages.training.refresh import refresh
from jobs.stages.training.train import refit_of
from jobs.storage.bound_folder import BoundFolder
from jobs.storage.erased import Erased
from jobs.storage.store import Storage
from models.registry.lineage import Decision


class NothingToReproduce(Refused):
    """The run, or the part of it that this code can read, is not enough to make it again."""


class Rerun(RunContext):
    """A run that is made again with a folder and daily partials of its own; it only reads datasets and earlier runs."""

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
        """Daily partials of its own: the aggregation of a day is reproduced as well."""
        return self.at.child("partials")

    def _read_erased(self) -> Erased:
        return self._forgotten

    @cached_property
    def training(self) -> TrainingTask:
        """The training of the published factors; its table of interactions is that of a refresh, too."""
        return refit_of(self, self.contest, Decision.model_validate(self.manifest.fact("train", "decision")))

    @property
    def shadow(self) -> ShadowSample | None:
        """Who has shadow lists in the run; None: nobody."""
        return sample_in(self.manifest.stages["topn"].facts)

    @property
    def rival(self) -> Settings | None:
        """Settings of the champion's recipe, if the factors were trained on its interactions."""
        return None if self.training.interactions == "interactions" else self.contest.champion


@contextmanager
def made_again(rerun: Rerun, *, keep: bool) -> Iterator[Facts]:
    """Makes the tables again, for the length of the block. Yields the facts of the training."""
    rerun.at.delete("")  # of an attempt that was killed
    try:
        yield _make(rerun)
    finally:
        rerun.close()
        if not keep:
            rerun.at.delete("")


def _make(rerun: Rerun) -> Facts:
    features = features_for(rerun, rerun.rival)
    if rerun.rival is not None and features.champion is None:
        raise NothingToReproduce(f"the champion's recipe cannot be made any more: {features.champion_fault}")
    wanted = ("interactions", "exclusions", "sources", "audience", "champion_interactions")
    write_features(rerun.tables, features, rerun.ids, wanted)
    features.release()
    training: Facts = _trained(rerun)
    made = make_lists(rerun)
    if rerun.shadow is not None:
        make_shadow_lists(rerun, rerun.shadow, made.candidates, made.fallback)
    return training


def _trained(rerun: Rerun) -> Facts:
    if rerun.is_popular:
        return popular_factors(rerun)
    return refresh(rerun)["training"] if rerun.manifest.request.refresh else fit(rerun, rerun.training)
