"""The temporal split: a recipe is judged on days that its training does not see."""

import datetime as dt

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

from conf import contract
from conf.contract import IdKind
from features.exclusions import sources_of
from features.tables import conform


def train_sources_of(train_pairs: DataFrame, catalogue: DataFrame | None, cut: dt.date, ids: IdKind) -> DataFrame:
    """contract.train_sources: what is known at the cut, by the catalogue of then where there is one.

    Eligible is only what somebody engaged with before the cut: where the catalogue is today's, because none was kept
    at the cut, it may hold sources that did not exist then.
    """
    known = sources_of(train_pairs, catalogue, cut, ids)
    known = known.withColumn("eligible", known["eligible"] & (known["users"] > 0))
    first = train_pairs.where("weight > 0").groupBy("source_id").agg(sf.min("first_ts").alias("since"))
    if catalogue is not None and "created_at" in catalogue.columns:
        created = catalogue.select("source_id", sf.col("created_at").cast("timestamp").alias("created"))
        both = first.join(created, "source_id", "full")
        first = both.select("source_id", sf.coalesce("created", "since").alias("since"))
    return conform(known.join(first, "source_id", "left"), contract.train_sources(ids))


def holdout_of(pairs: DataFrame, train_exclusions: DataFrame, sources: DataFrame, ids: IdKind) -> DataFrame:
    """contract.holdout: pairs that weigh something in the hold-out days, are new to their user, and are eligible."""
    positive = pairs.where("weight > 0").select("user_id", "source_id", "weight")
    new = positive.join(train_exclusions, ["user_id", "source_id"], "left_anti")
    eligible = sources.where("eligible").select("source_id")
    return conform(new.join(eligible, "source_id", "left_semi"), contract.holdout(ids))
