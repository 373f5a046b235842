"""What a list must not hold, and which sources may be in one."""

import datetime as dt

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from conf import contract
from conf.contract import IdKind
from features.eligibility import eligible_column
from features.exact_sum import exact_sum
from features.tables import conform, union_of


def exclusions_of(
    pairs: DataFrame,
    *,
    exclude_seen: bool,
    subscriptions: DataFrame | None,
    blocks: DataFrame | None,
    catalogue: DataFrame | None,
    ids: IdKind,
) -> DataFrame:
    """contract.exclusions: seen (any event, whatever its weight), subscribed, blocked, owned; no row twice."""
    parts = [_reason(pairs if exclude_seen else pairs.limit(0), "seen")]
    if subscriptions is not None:
        parts.append(_reason(subscriptions.distinct(), "subscribed"))
    if blocks is not None:
        parts.append(_reason(blocks.distinct(), "blocked"))
    if catalogue is not None and "owner_id" in catalogue.columns:
        owned = catalogue.where("owner_id IS NOT NULL").withColumnRenamed("owner_id", "user_id")
        parts.append(_reason(owned, "owned"))  # source_id is unique in the catalogue
    return conform(union_of(parts), contract.exclusions(ids))


def sources_of(pairs: DataFrame, catalogue: DataFrame | None, as_of: dt.date, ids: IdKind) -> DataFrame:
    """contract.sources: every source of the catalogue or of the interactions; without a catalogue all are eligible."""
    popularity = _popularity(pairs)
    if catalogue is None:
        missing = {"category": sf.lit(None), "owner_id": sf.lit(None), "eligible": sf.lit(col=True)}
        return conform(popularity.withColumns(missing), contract.sources(ids))
    known = catalogue.select(
        "source_id",
        eligible_column(catalogue, as_of).alias("eligible"),
        *(_optional(catalogue, column) for column in ("category", "owner_id")),
    )
    joined = known.join(popularity, "source_id", "full").na.fill(0, ["users", "weight"])
    return conform(joined.na.fill(value=False, subset=["eligible"]), contract.sources(ids))


def _reason(frame: DataFrame, reason: str) -> DataFrame:
    return frame.select("user_id", "source_id", sf.lit(reason).alias("reason"))


def _popularity(pairs: DataFrame) -> DataFrame:
    """Returns one row per source with interactions: users, and Σ of their weights."""
    sums = sf.count("*").alias("users"), exact_sum("weight").alias("weight")
    return pairs.where("weight > 0").groupBy("source_id").agg(*sums)


def _optional(catalogue: DataFrame, column: str) -> Column:
    return sf.col(column) if column in catalogue.columns else sf.lit(None).alias(column)
