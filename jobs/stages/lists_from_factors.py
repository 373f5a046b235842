"""Factors → lists, by the same code for the published and the judged recipe."""

import pyarrow as pa
from pyspark.sql import DataFrame

from conf.share import EVERYBODY
from features.hash_columns import arm_column
from jobs.run.context import RunContext
from jobs.storage.shared_folder import share_folder
from models.lists.candidates import Candidates
from models.lists.fallback import Fallback
from models.lists.topn import Folder, precompute_lists

FALLBACK = "fallback.json"
"""Name of the fallback list in a run's folder."""


def share_candidates(run: RunContext, prefix: str, sources: pa.Table) -> Folder:
    """Sends what may be recommended by the factors of the `TrainingTask` named `prefix` to the workers.

    Raises NoCandidates.
    """
    candidates = Candidates.build(run.folder.table(f"{prefix}source_factors"), sources, run.ids)
    return share_folder(run.spark, run.scratch, f"{prefix}candidates-{run.scratch.name}", candidates.save)


def lists_from_factors(
    run: RunContext, prefix: str, candidates: Folder, excluded: DataFrame, fallback: Fallback, users: DataFrame | None
) -> DataFrame:
    """Returns contract.lists by the factors of the `TrainingTask` named `prefix`, for `users` (None: all).

    candidates: by `share_candidates`; excluded: what they must not hold, a row per user
    (`models.lists.topn.excluded_sources`).
    """
    user_factors = run.tables.read(f"{prefix}user_factors")
    return precompute_lists(
        user_factors, excluded, users, candidates, fallback, run.settings.lists, run.settings.spark.user_block, run.ids
    )


def users_in_share(run: RunContext) -> DataFrame | None:
    """Returns the users (user_id) with lists: the audience (None: everybody), restricted to the run's share."""
    if run.share == EVERYBODY:
        return run.tables.read("audience") if run.folder.finished("audience") else None
    users = audience(run)
    return users.where(arm_column(users["user_id"], run.settings.rollout.salt) < int(run.share))


def audience(run: RunContext) -> DataFrame:
    """Returns the users (user_id) who may get lists: the audience, or everybody who is known."""
    if run.folder.finished("audience"):
        return run.tables.read("audience")
    known = [run.tables.read(name).select("user_id") for name in ("user_factors", "exclusions")]
    return known[0].union(known[1]).distinct()
