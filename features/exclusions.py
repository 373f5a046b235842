"""Finds what a list must not hold, and which sources may be in one."""

import datetime as dt

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from conf import contract
from conf.ids import IdKind
from features.eligibility import eligible_column
from features.exact_sum import exact_sum
from features.tables import conform, union_of


def exclusions_of(
    pairs: DataFrame,
    *,
    exclude_seen: bool,
    subscriptions: DataFrame | None,
    blocks: DataFrame | None,
    sources: DataFrame | None,
    ids: IdKind,
) -> DataFrame:
    """Returns contract.exclusions: seen (any event, of any weight), subscribed, blocked, owned; rows are unique."""
    parts = [_reason(pairs if exclude_seen else pairs.limit(0), "seen")]
    if subscriptions is not None:
        parts.append(_reason(subscriptions.distinct(), "subscribed"))
    if blocks is not None:
        parts.append(_reason(blocks.distinct(), "blocked"))
    if sources is not None and "owner_id" in sources.columns:
        owned = sources.where("owner_id IS NOT NULL").withColumnRenamed("owner_id", "user_id")
        parts.append(_reason(owned, "owned"))  # source_id is unique in the sources
    return conform(union_of(parts), contract.exclusions(ids))


def sources_of(pairs: DataFrame, sources: DataFrame | None, as_of: dt.date, ids: IdKind) -> DataFrame:
    """Returns contract.sources: all sources of the dataset or the interactions; without a dataset all are eligible."""
    popularity = _popularity(pairs)
    if sources is None:
        missing = {"category": sf.lit(None), "owner_id": sf.lit(None), "eligible": sf.lit(col=True)}
        return conform(popularity.withColumns(missing), contract.sources(ids))
    known = sources.select(
        "source_id",
        eligible_column(sources, as_of).alias("eligible"),
        *(_optional(sources, column) for column in ("category", "owner_id")),
    )
    joined = known.join(popularity, "source_id", "full").na.fill(0, ["users", "weight"])
    return conform(joined.na.fill(value=False, subset=["eligible"]), contract.sources(ids))


def _reason(frame: DataFrame, reason: str) -> DataFrame:
    return frame.select("user_id", "source_id", sf.lit(reason).alias("reason"))


def _popularity(pairs: DataFrame) -> DataFrame:
    """Returns one row per source with interactions: number of users, and Σ of their weights."""
    sums = sf.count("*").alias("users"), exact_sum("weight").alias("weight")
    return pairs.where("weight > 0").groupBy("source_id").agg(*sums)


def _optional(sources: DataFrame, column: str) -> Column:
    return sf.col(column) if column in sources.columns else sf.lit(None).alias(column)
