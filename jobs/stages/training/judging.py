"""Judges a recipe's lists, as they would have been published at the cut, on the hold-out beside other arms."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pyarrow as pa
from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

from conf import contract
from features.cut import cut_of
from jobs.run.context import Run
from jobs.runtime.log import log_step, timed
from jobs.stages.lists_from_factors import lists_from_factors, share_candidates
from jobs.storage.erased import without_rows_of
from jobs.storage.shared_folder import share_folder
from models.champion import Contest
from models.errors import KnnTooLarge, NoCandidates, NothingToJudge
from models.judge import (
    CHAMPION,
    ITEM_KNN,
    OURS,
    POPULARITY_SIZE,
    JudgeInputs,
    Judgement,
    KnownSources,
    Neighbours,
    gather_judged,
    judge,
    judge_users,
    knn_lists,
    new_from,
    table_of,
)
from models.lists.fallback import Fallback, fallback_list


def check_judgeable(run: Run) -> None:
    """Raises NothingToJudge if there are too few interactions before the cut, or users after it."""
    split = run.settings.split
    if not run.folder.table("train_interactions").count_rows():
        raise NothingToJudge(f"no interactions before the hold-out of {split.holdout_days} days")
    users = run.tables.read("holdout").select("user_id").distinct().count()
    if users < split.min_users:
        raise NothingToJudge(
            f"{users} users with something new in the hold-out, split.min_users asks for {split.min_users}"
        )


def judge_recipes(run: Run, contest: Contest) -> Judgement:
    """Judges lists by `train_*_factors` beside popularity, item-kNN and the champion's recipe by its own factors.

    Only the truth is from the held-out days. Writes `train_lists`, `champion_train_lists` and `train_judged`; raises
    NoCandidates when the run's own recipe can recommend nothing.
    """
    settings, sources = run.settings, run.folder.table("train_sources").to_table()
    fallback = fallback_list(sources, settings.lists.fallback_size)
    popular, k = fallback_list(sources, POPULARITY_SIZE), min(settings.judge.k, settings.lists.n)
    with _gathered(run) as users:
        ours = {OURS: _lists(run, "train_", sources, fallback, users)}
        knn, remarks = _item_knn(run, sources, popular, k, users)
        champion, remark = _champion(run, contest, sources, fallback, users)
        inputs = _judge_inputs(run, sources, popular, users)
        judged = judge_users({**ours, **knn, **champion}, inputs, k, settings.judge)
        with timed("train", "arms"):
            run.tables.write("train_judged", judged, contract.judged_users(run.ids, judged.columns[2:]))
    with timed("train", "judged"):
        eligible = sources.filter(sources["eligible"]).num_rows
        rows = run.tables.read("train_judged")
        judgement = judge(rows, k=k, eligible=eligible, settings=settings.judge, remarks={**remarks, **remark})
    log_step("train", table_of(judgement, settings.judge))
    return judgement


@contextmanager
def _gathered(run: Run) -> Iterator[DataFrame]:
    """Yields the rows of `gather_judged`, kept on disk while the block lasts."""
    users = gather_judged(
        run.tables.read("holdout"),
        run.tables.read("train_interactions"),
        run.tables.read("train_exclusions"),
        run.settings.spark.shuffle_partitions,
    ).persist(StorageLevel.DISK_ONLY)
    try:
        yield users
    finally:
        users.unpersist()


def _lists(run: Run, prefix: str, sources: pa.Table, fallback: Fallback, users: DataFrame) -> DataFrame:
    """Returns the lists of the judged users by one recipe, as they would have been published at the cut."""
    excluded = users.where(sf.size("excluded") > 0).select("user_id", "excluded")
    candidates = share_candidates(run, prefix, sources)
    lists = lists_from_factors(run, prefix, candidates, excluded, fallback, users.select("user_id"))
    run.tables.write(f"{prefix}lists", lists, contract.lists(run.ids))
    return run.tables.read(f"{prefix}lists")


def _champion(
    run: Run, contest: Contest, sources: pa.Table, fallback: Fallback, users: DataFrame
) -> tuple[Mapping[str, DataFrame], Mapping[str, str]]:
    """Returns the champion's arm, or a remark why it is missing."""
    if contest.champion is None:
        return {}, {CHAMPION: f"missing: {contest.reason}"}
    try:
        return {CHAMPION: _lists(run, "champion_train_", sources, fallback, users)}, {}
    except NoCandidates as error:
        return {}, {CHAMPION: f"missing: {error}"}


def _judge_inputs(run: Run, sources: pa.Table, popular: Fallback, users: DataFrame) -> JudgeInputs:
    cut = cut_of(run.as_of, run.settings.split.holdout_days)
    trained = run.folder.table("train_user_factors").count_rows()
    known = KnownSources.build(sources, trained, new_from(cut, run.settings.judge), run.ids)
    return JudgeInputs(
        users=users,
        popular=popular,
        known=share_folder(run.spark, run.scratch, f"train_known-{run.run_id}", known.save),
        ids=run.ids,
    )


def _item_knn(
    run: Run, sources: pa.Table, popular: Fallback, k: int, users: DataFrame
) -> tuple[Mapping[str, DataFrame], Mapping[str, str]]:
    """Returns the arm item-kNN with a remark if it was sampled, or a remark why it is missing."""
    interactions = run.folder.table("train_interactions")
    interactions = without_rows_of(run.erased.users, interactions, run.scratch / "knn_interactions.parquet")
    try:
        with timed("train", "item-kNN"):
            neighbours = Neighbours.build(interactions, sources, run.settings.judge, run.settings.train, run.ids)
    except KnnTooLarge as error:
        return {}, {ITEM_KNN: f"missing: {error}"}
    lists = knn_lists(
        users,
        share_folder(run.spark, run.scratch, f"train_neighbours-{run.run_id}", neighbours.save),
        popular,
        k,
        run.ids,
    )
    share = neighbours.share_of_users
    sampled = f"similarities of a sample of {share:.1%} of the users (judge.knn_products)"
    return {ITEM_KNN: lists}, ({} if share == 1 else {ITEM_KNN: sampled})
