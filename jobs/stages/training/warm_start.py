"""Chooses the factors that a training starts from: those of the run that served before, or none."""

from dataclasses import dataclass

from conf.digest import sha256_of_chunks
from conf.training import TrainSettings
from features.cut import cut_of
from jobs.run.context import RunContext
from jobs.run.manifest import KeptRun
from jobs.runtime.log import log
from jobs.stages.stage import Facts
from jobs.storage.bound_folder import ChangedSince
from jobs.storage.digests import chunks_of
from jobs.storage.store import Storage
from models.training.trainers import TRAINERS, trainer_of
from models.training.warm import WarmStart

_TABLES = ("user_factors", "source_factors")


@dataclass(frozen=True)
class FormerFactors:
    """The factors of an earlier run, or why a training starts cold."""

    start: WarmStart | None
    run_id: str | None
    reason: str | None
    warm_runs: int = 0
    """Runs since the last cold start, this one included if it starts warm."""
    folder: Storage | None = None

    def facts(self, *, warm: bool) -> Facts:
        """Returns the facts of the start; warm: whether the factors were used."""
        facts: Facts = {"warm_runs": self.warm_runs if warm else 0}
        if warm and self.folder is not None:
            facts |= {"from_run": self.run_id, "from_digest": digest_of_factors(self.folder)}
        return facts if self.reason is None else facts | {"cold_reason": self.reason}


def former_factors(run: RunContext, settings: TrainSettings) -> FormerFactors:
    """Returns the serving run's factors, unless they know the hold-out or `cold_every` asks for a cold start.

    The judged training and the refit start alike, so that what is judged is what is published.
    """
    before = run.manifest.serving_before
    if before is None:
        return _cold("nothing served before")
    try:
        kept = _training_of(run, before)
        return _cold(f"the factors of run {before} are gone") if kept is None else _former(run, settings, kept)
    except ChangedSince as error:
        log.warning("warning   no warm start: %s", error)
        return _cold(str(error))


def _training_of(run: RunContext, before: str) -> KeptRun | None:
    """Returns the run that trained what `before` serves; None if it or its factors are gone."""
    kept = run.kept_run(before)
    if kept is None or "train" not in kept.manifest.stages:
        return None
    if kept.manifest.request.refresh:  # it did not train itself
        return _training_of(run, str(kept.manifest.fact("train", "training")["from_run"]))
    return kept if all(kept.folder.finished(table) for table in _TABLES) else None


def _former(run: RunContext, settings: TrainSettings, kept: KeptRun) -> FormerFactors:
    known, folder = kept.manifest, kept.folder
    before = known.request.run_id
    cut = cut_of(run.as_of, run.settings.split.holdout_days)
    if known.request.as_of > cut:
        return _cold(f"run {before} knows days of the hold-out, which begins on {cut}")
    stats, trainer = known.fact("train", "training"), trainer_of(settings)
    trained_by, every = stats.get("algorithm", "als"), trainer.cold_every(settings)
    if every is None:
        return _cold(f"train.algorithm {settings.algorithm} cannot continue from earlier factors")
    if type(TRAINERS.get(trained_by)) is not type(trainer):
        return _cold(f"run {before} was trained by {trained_by}")
    warm_runs = int(stats.get("warm_runs", 0)) + 1
    if warm_runs >= every:
        return _cold(f"one run in {every} starts cold (train.cold_every)")
    start = WarmStart(*(folder.table(table) for table in _TABLES))
    return FormerFactors(start, before, None, warm_runs, folder)


def digest_of_factors(folder: Storage) -> str:
    """Returns the SHA-256 of the files of a run's factors."""
    files = (f"{table}/{info.base_name}" for table in _TABLES for info in folder.files(table))
    parquet = (file for file in files if file.endswith(".parquet"))
    return sha256_of_chunks(chunk for file in parquet for chunk in chunks_of(folder, file))


def _cold(reason: str) -> FormerFactors:
    return FormerFactors(None, None, reason)
