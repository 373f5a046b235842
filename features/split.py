"""The temporal split: a recipe is judged on days that its training does not see."""

import datetime as dt

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

from conf import contract
from conf.ids import IdKind
from features.exclusions import sources_of
from features.tables import conform


def train_sources_of(train_pairs: DataFrame, sources: DataFrame | None, cut: dt.date, ids: IdKind) -> DataFrame:
    """Returns contract.train_sources: the sources as known at the cut.

    Only sources with interactions before the cut are eligible: if no snapshot of that time exists, today's is used,
    which may have sources that did not exist then.
    """
    known = sources_of(train_pairs, sources, cut, ids)
    known = known.withColumn("eligible", known["eligible"] & (known["users"] > 0))
    first = train_pairs.where("weight > 0").groupBy("source_id").agg(sf.min("first_ts").alias("since"))
    if sources is not None and "created_at" in sources.columns:
        created = sources.select("source_id", sf.col("created_at").cast("timestamp").alias("created"))
        both = first.join(created, "source_id", "full")
        first = both.select("source_id", sf.coalesce("created", "since").alias("since"))
    return conform(known.join(first, "source_id", "left"), contract.train_sources(ids))


def holdout_of(pairs: DataFrame, train_exclusions: DataFrame, sources: DataFrame, ids: IdKind) -> DataFrame:
    """Returns contract.holdout: eligible pairs with positive weight in the hold-out days, new to their user."""
    positive = pairs.where("weight > 0").select("user_id", "source_id", "weight")
    new = positive.join(train_exclusions, ["user_id", "source_id"], "left_anti")
    eligible = sources.where("eligible").select("source_id")
    return conform(new.join(eligible, "source_id", "left_semi"), contract.holdout(ids))
