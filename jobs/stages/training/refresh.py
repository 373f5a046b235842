"""A refresh: keeps the factors of the serving version, and folds in users who came after its training.

For the days between two trainings: lists are made again, without what users have seen or joined since.
"""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf

from conf import contract
from conf.errors import Refused
from jobs.run.context import RunContext
from jobs.runtime.log import timed
from jobs.stages.stage import Facts
from jobs.storage.bound_folder import BoundFolder, ChangedSince
from jobs.storage.erased import without_rows_of
from jobs.storage.tables import Tables
from models.arrays.ids import IdMap
from models.registry.lineage import Decision
from models.training.confidences import Constants
from models.training.fold_in import FoldIn

FOLDED = "folded_user_factors"
"""Table of the users that a refresh folded in."""
_FACTORS = ("user_factors", "source_factors")
_COUNTS = "trained_sources"
"""Table (source_id, users) of a refresh: the interactions of its sources in the training."""


class RefreshRefused(Refused):
    """There are no factors that users can be folded into."""


@dataclass(frozen=True)
class _ServedTraining:
    """The run whose factors are kept, a training or a refresh itself."""

    folder: BoundFolder
    spark: SparkSession
    tables: Tables
    stats: dict[str, Any]
    trained_run: str

    @property
    def trained_users(self) -> DataFrame:
        """contract.user_factors of the users of the training."""
        users = self.tables.read("user_factors")
        if not self.folder.finished(FOLDED):
            return users
        return users.join(self.tables.read(FOLDED).select("user_id"), "user_id", "left_anti")

    @property
    def source_counts(self) -> DataFrame:
        """(source_id, users) of the training."""
        if self.folder.finished(_COUNTS):
            return self.tables.read(_COUNTS)
        everybody = Tables(
            self.spark, self.folder
        )  # with erased users: counts name nobody, and must be those of the training
        interactions = everybody.read(self.stats["trained_on"])
        return interactions.groupBy("source_id").agg(sf.count("*").alias("users"))


def refresh(run: RunContext) -> Facts:
    """Writes the factors of the serving run and of users who came since its training. Returns the facts of the stage.

    Raises RefreshRefused, ChangedSince.
    """
    former, interactions = _former(run), _interactions(run)
    with timed("train", "refresh") as notes:
        _write_counts(run, former)
        folded = _fold_in(run, former, interactions)
        users = former.trained_users.unionByName(run.tables.read(FOLDED)).orderBy("user_id")
        kept = run.tables.write("user_factors", users, contract.user_factors(run.ids)) - folded
        sources = former.tables.read("source_factors").orderBy("source_id")
        n_sources = run.tables.write("source_factors", sources, contract.source_factors(run.ids))
        notes.append(f"{folded:,} users folded in, {kept:,} keep their factors")
    assert run.manifest.champion is not None, "a run that serves has a version"
    version = run.manifest.champion.version
    training = {
        "algorithm": "fold_in",
        "started": "refresh",
        "from_run": former.trained_run,
        "interactions": former.stats["interactions"],
        "users": kept + folded,
        "kept_users": kept,
        "new_users": folded,
        "sources": n_sources,
        "constants": former.stats["constants"],
    }
    reason = f"a refresh keeps the factors of version {version}"
    return {
        "training": training,
        "judged": {"skipped": f"{reason}, which were judged when they were trained"},
        "decision": Decision(winner="champion", reason=reason).model_dump(),
    }


def _former(run: RunContext) -> _ServedTraining:
    serving, champion = run.manifest.serving_before, run.manifest.champion
    if serving is None or champion is None:
        raise RefreshRefused("nothing serves yet, so there is nothing to refresh; start without --refresh")
    if champion.recipe is None:
        raise RefreshRefused(f"run {serving} cannot be refreshed: {champion.fault}; start without --refresh")
    try:
        kept = run.kept_run(serving)
        whole = kept is not None and all(kept.folder.finished(table) for table in _FACTORS)
        if kept is None or not whole:
            raise RefreshRefused(f"the factors of run {serving} are gone; start without --refresh")
        for table in _FACTORS:
            kept.folder.table(table)
    except ChangedSince as error:
        raise RefreshRefused(f"{error}, or start without --refresh") from None
    folder, stats = kept.folder, kept.manifest.fact("train", "training")
    if stats.get("constants") is None:
        raise RefreshRefused(
            f"run {serving} was trained by {stats.get('algorithm', 'older code')}, into whose factors nobody can be "
            "folded; start without --refresh"
        )
    trained_run = stats["from_run"] if stats["algorithm"] == "fold_in" else serving
    return _ServedTraining(folder, run.spark, Tables(run.spark, folder, run.erased.users), stats, trained_run)


def _write_counts(run: RunContext, former: _ServedTraining) -> None:
    if not run.folder.finished(_COUNTS):
        counts = former.source_counts.toArrow()
        run.folder.write_table(_COUNTS, counts.to_batches(), counts.schema)


def _fold_in(run: RunContext, former: _ServedTraining, interactions: ds.Dataset) -> int:
    """Writes the factors of users who were not in the training. Returns their number."""
    if not run.folder.finished(FOLDED):
        sources = former.folder.table("source_factors")
        constants = Constants(**former.stats["constants"])
        fold = FoldIn.read(sources, run.folder.table(_COUNTS), constants, run.ids, run.settings.train.threads)
        ids: pa.Table = former.trained_users.select("user_id").toArrow()
        batches = fold.new_users(interactions, IdMap.of(ids["user_id"], run.ids))
        run.folder.write_table(FOLDED, batches, contract.user_factors(run.ids))
    return int(run.folder.table(FOLDED).count_rows())


def _interactions(run: RunContext) -> ds.Dataset:
    """Returns the interactions by the champion's recipe: its factors need weights of the same meaning."""
    contest = run.contest
    if contest.champion is not None:
        table = contest.table("interactions")
    elif contest.is_champions:
        table = "interactions"
    else:
        raise RefreshRefused(f"{contest.reason}; start without --refresh")
    interactions = run.folder.table(table)
    return without_rows_of(run.erased.users, interactions, run.scratch / "refresh_interactions.parquet")
