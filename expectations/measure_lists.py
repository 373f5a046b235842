"""Measures the lists in Spark by native columns: all rows against all exclusions and the sources, in two jobs.

Lists are not exploded for the comparison with exclusions: exclusions are gathered per user and compared with the list
as arrays, so that one row per user is joined, not one per entry. Which reasons excluded what is listed all the same is
asked in a third job, and only if anything is.
"""

import math
from collections.abc import Collection, Mapping
from functools import reduce
from itertools import pairwise
from operator import or_
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from conf.contract import EXCLUSION_REASONS
from conf.share import EVERYBODY, Share
from expectations.lists import FallbackList, FallbackProfile, ListProfile
from expectations.schema import columns_of
from features.hash_columns import arm_column

_COLUMNS = ("user_id", "source_ids", "scores", "personal")


def measure_lists(
    lists: DataFrame,
    exclusions: DataFrame,
    sources: DataFrame,
    *,
    fallback: FallbackList,
    n: int,
    expected_users: int,
    share_bp: Share,
    salt: str,
) -> ListProfile:
    """Returns the profile of `lists`, compared with the contract tables `exclusions` and `sources`.

    `fallback`: the list that will be announced for users without a row. `expected_users`: number of users who should
    have a personal list, i.e. with interactions, in the audience and in the share. `salt`: by which the share is drawn.
    Raises MeasureError if a column is missing.
    """
    columns = columns_of(lists, _COLUMNS)
    own = _first(
        lists.join(_per_user(exclusions, {"excluded": sf.lit(col=True)}), "user_id", "left").agg(
            *_rows(n), _outside(share_bp, salt)
        )
    )
    excluded = _excluded(lists, exclusions) if own.pop("with_excluded") else dict.fromkeys(EXCLUSION_REASONS, 0)
    held = _first(_per_source(lists, sources).agg(*_source_counts(fallback)))
    return ListProfile(
        columns=columns,
        n=n,
        share_bp=share_bp,
        expected_users=expected_users,
        nulls={name: own.pop(f"null_{name}") for name in _COLUMNS},
        fallback=measure_fallback(fallback, set(held.pop("eligible_fallback"))),
        excluded=excluded,
        **own,
        **held,
    )


def _first(df: DataFrame) -> dict[str, Any]:
    return df.collect()[0].asDict()


def _per_user(exclusions: DataFrame, gathered: Mapping[str, Column]) -> DataFrame:
    """Returns one row per user with an array by each name of the sources that its condition holds for."""
    columns_of(exclusions, ("user_id", "source_id", "reason"))
    arrays = [sf.collect_list(sf.when(holds, sf.col("source_id"))).alias(name) for name, holds in gathered.items()]
    return exclusions.groupBy("user_id").agg(*arrays)


def _excluded(lists: DataFrame, exclusions: DataFrame) -> dict[str, int]:
    """Returns the number of entries of lists that are excluded, by reason."""
    by_reason = {reason: sf.col("reason") == reason for reason in EXCLUSION_REASONS}
    both = lists.join(_per_user(exclusions, by_reason), "user_id")
    return _first(both.agg(*(_shared(reason).alias(reason) for reason in EXCLUSION_REASONS)))


def _rows(n: int) -> list[Column]:
    ids, scores = sf.col("source_ids"), sf.col("scores")
    length = sf.size(ids)
    return [
        sf.count(sf.lit(1)).alias("lists"),
        sf.count_if("personal").alias("personal"),
        sf.count_distinct("user_id").alias("users"),
        *_nulls(),
        sf.count_if(length == n).alias("full"),
        sf.count_if(length > n).alias("too_long"),
        sf.min(length).alias("min_length"),
        sf.avg(length).alias("mean_length"),
        sf.count_if(sf.size(sf.array_distinct(ids)) < length).alias("with_duplicates"),
        sf.count_if(sf.size(scores) != length).alias("mismatched"),
        sf.count_if(_some_not_finite(scores)).alias("non_finite"),
        sf.count_if(_ascending(scores)).alias("ascending"),
        sf.count_if(sf.arrays_overlap(ids, "excluded")).alias("with_excluded"),
    ]


def _outside(share_bp: Share, salt: str) -> Column:
    """Returns the number of rows of users who are not in the share."""
    if share_bp == EVERYBODY:
        return sf.lit(0).cast("bigint").alias("outside_share")
    return sf.count_if(arm_column(sf.col("user_id"), salt) >= int(share_bp)).alias("outside_share")


def _nulls() -> list[Column]:
    missing = {
        "user_id": [sf.col("user_id").isNull()],
        "source_ids": [sf.col("source_ids").isNull(), sf.exists("source_ids", sf.isnull)],
        "scores": [sf.col("scores").isNull(), sf.exists("scores", sf.isnull)],
        "personal": [sf.col("personal").isNull()],
    }
    return [sf.count_if(reduce(or_, tests)).alias(f"null_{name}") for name, tests in missing.items()]


def _some_not_finite(scores: Column) -> Column:
    """Returns whether NaN, which Spark orders above all numbers, or an infinite number is among the scores."""
    largest, infinite = sf.array_max(scores), sf.lit(float("inf"))
    return sf.isnan(largest) | (largest == infinite) | (sf.array_min(scores) == -infinite)


def _ascending(scores: Column) -> Column:
    """Returns whether a score is above the one before it; arrays with NaN or null are counted elsewhere."""
    sound = ~sf.exists(scores, sf.isnull) & ~_some_not_finite(scores)
    return sound & (sf.sort_array(scores, asc=False) != scores)


def _shared(reason: str) -> Column:
    count = sf.size(sf.array_intersect(sf.col("source_ids"), sf.col(reason)))
    return sf.coalesce(sf.sum(count), sf.lit(0))  # users without exclusions have null


def _per_source(lists: DataFrame, sources: DataFrame) -> DataFrame:
    """Returns one row per source of lists and sources: entries, entries in personal lists, eligible."""
    columns_of(sources, ("source_id", "eligible"))
    entries = lists.select("personal", sf.explode(sf.array_distinct("source_ids")).alias("source_id"))
    counts = entries.groupBy("source_id").agg(
        sf.count(sf.lit(1)).alias("entries"), sf.count_if("personal").alias("personal_entries")
    )
    known = sources.select("source_id", "eligible").where("source_id is not null")
    return counts.where("source_id is not null").join(known, "source_id", "full")  # null entries are counted elsewhere


def _source_counts(fallback: FallbackList) -> list[Column]:
    eligible = sf.expr("eligible <=> true")  # a source that is not in the sources is not eligible
    in_fallback = sf.col("source_id").isin(list(fallback.source_ids))
    return [
        sf.coalesce(sf.sum(sf.when(~eligible, sf.col("entries"))), sf.lit(0)).alias("ineligible"),
        sf.count_if(eligible).alias("eligible_sources"),
        sf.count_if(eligible & (sf.col("entries") > 0)).alias("listed_sources"),
        sf.coalesce(sf.max("personal_entries"), sf.lit(0)).alias("most_frequent"),
        sf.collect_set(sf.when(eligible & in_fallback, sf.col("source_id"))).alias("eligible_fallback"),
    ]


def measure_fallback(fallback: FallbackList, eligible: Collection[int | str | None]) -> FallbackProfile:
    """Returns the profile of `fallback`; `eligible`: those of its source ids that may be recommended."""
    ids, scores = fallback.source_ids, fallback.scores
    return FallbackProfile(
        sources=len(ids),
        ineligible=sum(source not in eligible for source in ids),
        duplicates=len(ids) - len(set(ids)),
        mismatched=abs(len(scores) - len(ids)),
        non_finite=sum(not math.isfinite(score) for score in scores),
        ascending=sum(after > before for before, after in pairwise(filter(math.isfinite, scores))),
    )
