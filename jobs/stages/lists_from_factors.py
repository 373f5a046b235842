"""Factors → lists, by the same code for the published and the judged recipe."""

import pyarrow as pa
from pyspark.sql import DataFrame

from conf.share import EVERYBODY
from features.hash_columns import arm_column
from jobs.run.context import RunContext
from jobs.storage.shared_folder import share_folder
from models.lists.candidates import Candidates
from models.lists.fallback import Fallback
from models.lists.topn import precompute_lists

FALLBACK = "fallback.json"
"""Name of the fallback list in a run's folder."""


def lists_from_factors(
    run: RunContext, prefix: str, sources: pa.Table, excluded: DataFrame, fallback: Fallback, users: DataFrame | None
) -> DataFrame:
    """Returns contract.lists by the factors of the `TrainingTask` named `prefix`, for `users` (None: all).

    excluded: what they must not hold, a row per user (`models.lists.topn.excluded_sources`). Raises NoCandidates.
    """
    user_factors = run.tables.read(f"{prefix}user_factors")
    factors = run.folder.table(f"{prefix}source_factors").to_table()
    candidates = Candidates.build(factors, sources, run.ids)
    folder = share_folder(run.spark, run.scratch, f"{prefix}candidates-{run.scratch.name}", candidates.save)
    return precompute_lists(
        user_factors, excluded, users, folder, fallback, run.settings.lists, run.settings.spark.user_block, run.ids
    )


def users_in_share(run: RunContext) -> DataFrame | None:
    """Returns the users (user_id) with lists: the audience (None: everybody), restricted to the run's share."""
    everybody = run.tables.read("audience") if run.folder.finished("audience") else None
    if run.share == EVERYBODY:
        return everybody
    if everybody is None:
        known = [run.tables.read(name).select("user_id") for name in ("user_factors", "exclusions")]
        everybody = known[0].union(known[1]).distinct()
    return everybody.where(arm_column(everybody["user_id"], run.settings.rollout.salt) < int(run.share))
