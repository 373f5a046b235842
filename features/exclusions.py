"""Finds what a list must not hold, and which sources may be in one."""

import datetime as dt
from collections.abc import Mapping

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as sf

from conf import contract
from conf.ids import IdKind
from features.eligibility import eligible_column
from features.exact_sum import exact_sum
from features.tables import conform, spark_schema, union_of


def exclusions_of(seen: DataFrame | None, snapshots: Mapping[str, DataFrame], ids: IdKind) -> DataFrame:
    """Returns contract.exclusions: seen pairs (any event, of any weight) and those of `known_pairs`; rows are unique.

    seen: None if seen sources may be recommended again.
    """
    parts = [*known_pairs(snapshots), *(() if seen is None else (_reason(seen, "seen"),))]
    schema = contract.exclusions(ids)
    if not parts:
        return SparkSession.active().createDataFrame([], spark_schema(schema))
    return conform(union_of(parts), schema)


def known_pairs(snapshots: Mapping[str, DataFrame]) -> list[DataFrame]:
    """Returns pairs that must not be recommended whatever a user did: subscribed, blocked, owned, with `reason`."""
    reasons = {"subscriptions": "subscribed", "blocks": "blocked"}
    parts = [_reason(snapshots[name].distinct(), reason) for name, reason in reasons.items() if name in snapshots]
    sources = snapshots.get("sources")
    if sources is not None and "owner_id" in sources.columns:
        owned = sources.where("owner_id IS NOT NULL").withColumnRenamed("owner_id", "user_id")
        parts.append(_reason(owned, "owned"))  # source_id is unique in the sources
    return parts


def sources_of(pairs: DataFrame, sources: DataFrame | None, as_of: dt.date, ids: IdKind) -> DataFrame:
    """Returns contract.sources: all sources of the dataset or the interactions; without a dataset all are eligible."""
    return conform(known_sources(pairs, sources, as_of), contract.sources(ids))


def known_sources(pairs: DataFrame, sources: DataFrame | None, as_of: dt.date) -> DataFrame:
    """Returns the columns of contract.train_sources; `since`: created, else its first event."""
    popularity = _popularity(pairs)
    if sources is None:
        missing = {"category": sf.lit(None), "owner_id": sf.lit(None), "eligible": sf.lit(col=True)}
        return popularity.withColumns(missing).withColumnRenamed("first", "since")
    created = sf.col("created_at").cast("timestamp") if "created_at" in sources.columns else sf.lit(None)
    known = sources.select(
        "source_id",
        eligible_column(sources, as_of).alias("eligible"),
        *(_optional(sources, column) for column in ("category", "owner_id")),
        created.alias("created"),
    )
    joined = known.join(popularity, "source_id", "full").na.fill(0, ["users", "weight"])
    since = sf.coalesce("created", "first").alias("since")
    return joined.na.fill(value=False, subset=["eligible"]).select("*", since)


def _reason(frame: DataFrame, reason: str) -> DataFrame:
    return frame.select("user_id", "source_id", sf.lit(reason).alias("reason"))


def _popularity(pairs: DataFrame) -> DataFrame:
    """Returns a row per source with interactions: number of users, Σ of their weights, and `first`, null if unknown."""
    first = (sf.min("first_ts") if "first_ts" in pairs.columns else sf.lit(None)).alias("first")
    sums = sf.count("*").alias("users"), exact_sum("weight").alias("weight"), first
    return pairs.where("weight > 0").groupBy("source_id").agg(*sums)


def eligible_sources(pairs: DataFrame, sources: DataFrame | None, as_of: dt.date) -> DataFrame:
    """Returns the ids of the eligible sources of `sources_of`."""
    if sources is None:
        return pairs.where("weight > 0").select("source_id").distinct()
    return sources.where(eligible_column(sources, as_of)).select("source_id")


def _optional(sources: DataFrame, column: str) -> Column:
    return sf.col(column) if column in sources.columns else sf.lit(None).alias(column)
