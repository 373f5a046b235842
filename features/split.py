"""The temporal split: a recipe is judged on days that its training does not see."""

import datetime as dt
from collections.abc import Sequence

from pyspark.sql import DataFrame

from conf import contract
from conf.ids import IdKind
from features.exclusions import known_sources
from features.tables import conform, union_of


def train_sources_of(train_pairs: DataFrame, sources: DataFrame | None, cut: dt.date, ids: IdKind) -> DataFrame:
    """Returns contract.train_sources: the sources as known at the cut.

    Only sources with interactions before the cut are eligible: if no snapshot of that time exists, today's is used,
    which may have sources that did not exist then.
    """
    known = known_sources(train_pairs, sources, cut)
    return conform(known.withColumn("eligible", known["eligible"] & (known["users"] > 0)), contract.train_sources(ids))


def holdout_of(pairs: DataFrame, known: Sequence[DataFrame], eligible: DataFrame, ids: IdKind) -> DataFrame:
    """Returns contract.holdout: eligible pairs with positive weight in the hold-out days, new to their user.

    pairs: of the hold-out days, without those that the judged training has seen; known: pairs that are not new.
    """
    new = pairs.where("weight > 0").select("user_id", "source_id", "weight")
    if known:
        new = new.join(union_of(known), ["user_id", "source_id"], "left_anti")
    return conform(new.join(eligible, "source_id", "left_semi"), contract.holdout(ids))
