"""A sample of the users of a run with all that made their lists, kept with the run: small enough for one machine."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from features.hash_columns import hash_column, hash_limit

USERS = 4096
"""Users of a sample, about."""


def list_sample(lists: DataFrame, user_factors: DataFrame, exclusions: DataFrame, rows: int) -> DataFrame:
    """Returns `contract.list_sample` of about USERS of the `rows` lists, sorted by user; the same users every week."""
    chosen = lists.where(is_sampled(rows)).select(
        "user_id", "source_ids", sf.try_element_at("scores", sf.lit(1)).alias("score"), "personal"
    )
    excluded = exclusions.where(is_sampled(rows)).groupBy("user_id").agg(sf.collect_set("source_id").alias("excluded"))
    joined = chosen.join(user_factors.where(is_sampled(rows)), "user_id", "left").join(excluded, "user_id", "left")
    return joined.withColumn("excluded", sf.coalesce("excluded", sf.array())).coalesce(1).sort("user_id")


def is_sampled(rows: int) -> Column:
    """Returns whether a row's user is in the sample of a run with so many lists."""
    return hash_column(sf.col("user_id")) <= sf.lit(hash_limit(USERS / max(rows, 1)))
