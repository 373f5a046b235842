"""One training of a run: interactions → factors, by either recipe, for judging or for serving."""

import os
from dataclasses import asdict, dataclass

from conf import contract
from conf.training import AlsSettings, TrainSettings
from jobs.run.context import RunContext
from jobs.runtime.log import log_step, timed
from jobs.stages.stage import Facts
from jobs.stages.training.warm_start import former_factors
from jobs.storage.erased import without_rows_of
from models.training.als_spark import size_of, train_on_spark
from models.training.learning_curve import LearningCurve
from models.training.train import train
from models.training.trainers import ON_CLUSTER, choose_trainer


@dataclass(frozen=True)
class TrainingTask:
    """The input and settings of a training, and the name of its tables."""

    name: str
    """Prefix of `user_factors` and `source_factors`; empty: the published ones."""
    interactions: str
    settings: TrainSettings

    @property
    def tables(self) -> tuple[str, str]:
        """The tables that it writes."""
        return f"{self.name}user_factors", f"{self.name}source_factors"

    @property
    def stats(self) -> str:
        """The file with the facts of the training."""
        return f"{self.name}training.json"


def fit(run: RunContext, task: TrainingTask) -> Facts:
    """Trains unless an earlier attempt did. Returns the facts of the training."""
    if all(run.folder.finished(table) for table in task.tables):
        return run.folder.read_document(task.stats)
    for table in task.tables:  # both, since they must be of one training
        run.folder.delete(table)
    pairs = run.folder.table(task.interactions).count_rows()
    choice = choose_trainer(task.settings, pairs, lambda: size_of(run.tables.read(task.interactions)))
    if task.settings.algorithm == "auto":
        log_step("train", choice.reason)
    with timed("train", f"{task.name or 'refit '}factors".replace("_", " ")) as notes:
        on_cluster = choice.algorithm == ON_CLUSTER
        facts = _fit_on_cluster(run, task) if on_cluster else _fit_here(run, task, choice.algorithm)
        notes.append("{interactions:,} interactions, {users:,} users, {sources:,} sources, {started}".format(**facts))
    return facts


def _fit_here(run: RunContext, task: TrainingTask, algorithm: str) -> Facts:
    interactions = run.folder.table(task.interactions)
    interactions = without_rows_of(run.erased.users, interactions, run.scratch / f"{task.name}interactions.parquet")
    former = former_factors(run, task.settings)
    curve = _curve(run) if task.name else None  # the refit knows the hold-out
    watch = curve.watch if curve else None
    embeddings = train(interactions, task.settings, run.ids, start=former.start, watch=watch)
    stats = embeddings.stats
    facts = {
        "algorithm": algorithm,
        "trained_on": task.interactions,
        **stats.to_json(),
        **former.facts(warm=stats.started == "warm"),
        "threads": task.settings.threads or os.cpu_count(),
        "curve": [asdict(point) for point in curve.points] if curve else [],
    }
    run.folder.write_document(task.stats, facts)
    of_users, of_sources = task.tables
    run.folder.write_table(of_users, embeddings.user_batches(), contract.user_factors(run.ids))
    run.folder.write_table(of_sources, embeddings.source_batches(), contract.source_factors(run.ids))
    return facts


def _curve(run: RunContext) -> LearningCurve:
    return LearningCurve(run.folder.table("holdout"), run.settings.judge.k, seed=run.settings.judge.seed)


def _fit_on_cluster(run: RunContext, task: TrainingTask) -> Facts:
    assert isinstance(task.settings, AlsSettings), "nothing else trains on the cluster"
    checkpoints = f"{task.name}checkpoints"
    embeddings = train_on_spark(
        run.tables.read(task.interactions),
        task.settings,
        run.ids,
        blocks=run.settings.spark.shuffle_partitions,
        checkpoints=run.folder.spark_path(checkpoints),
    )
    facts = {"trained_on": task.interactions, **embeddings.stats.to_json()}
    run.folder.write_document(task.stats, facts)
    of_users, of_sources = task.tables
    run.tables.write(of_users, embeddings.user_factors, contract.user_factors(run.ids))
    run.tables.write(of_sources, embeddings.source_factors, contract.source_factors(run.ids))
    embeddings.release()
    run.folder.delete(checkpoints)
    return facts
