"""Measures the lists in Spark: every row against every exclusion and the sources, native columns, two jobs.

A list is never exploded to be compared with its user's exclusions: these are gathered per user and intersected with the
list as arrays, so that one row per user is joined, not one per entry.
"""

from functools import reduce
from operator import or_
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as fn

from conf.contract import EXCLUSION_REASONS
from expectations.fallback_profile import measure_fallback
from expectations.profiles import FallbackList, ListProfile
from expectations.schema import columns_of

_COLUMNS = ("user_id", "source_ids", "scores", "personal")


def measure_lists(
    lists: DataFrame,
    exclusions: DataFrame,
    sources: DataFrame,
    *,
    fallback: FallbackList,
    n: int,
    expected_users: int,
    share_bp: int,
) -> ListProfile:
    """The profile of `lists` against `exclusions` and `sources` (contract tables); raises MeasureError if columns lack.

    `fallback`: the list that will be announced for users without a row. `expected_users`: users who should have a
    personal list, i.e. with interactions, in the audience and in the share.
    """
    columns = columns_of(lists, _COLUMNS)
    own = _first(lists.join(_per_user(exclusions), "user_id", "left").agg(*_rows(n)))
    held = _first(_per_source(lists, sources).agg(*_catalogue(fallback)))
    return ListProfile(
        columns=columns,
        n=n,
        share_bp=share_bp,
        expected_users=expected_users,
        nulls={name: own.pop(f"null_{name}") for name in _COLUMNS},
        fallback=measure_fallback(fallback, set(held.pop("eligible_fallback"))),
        excluded={reason: own.pop(f"excluded_{reason}") for reason in EXCLUSION_REASONS},
        **own,
        **held,
    )


def _first(df: DataFrame) -> dict[str, Any]:
    return df.collect()[0].asDict()


def _per_user(exclusions: DataFrame) -> DataFrame:
    """One row per user: an array of sources per reason."""
    columns_of(exclusions, ("user_id", "source_id", "reason"))
    gathered = [
        fn.collect_list(fn.when(fn.col("reason") == reason, fn.col("source_id"))).alias(reason)
        for reason in EXCLUSION_REASONS
    ]
    return exclusions.groupBy("user_id").agg(*gathered)


def _rows(n: int) -> list[Column]:
    ids, scores = fn.col("source_ids"), fn.col("scores")
    length = fn.size(ids)
    return [
        fn.count(fn.lit(1)).alias("lists"),
        fn.count_if("personal").alias("personal"),
        fn.count_distinct("user_id").alias("users"),
        *_nulls(),
        fn.count_if(length == n).alias("full"),
        fn.count_if(length > n).alias("too_long"),
        fn.min(length).alias("min_length"),
        fn.avg(length).alias("mean_length"),
        fn.count_if(fn.size(fn.array_distinct(ids)) < length).alias("with_duplicates"),
        fn.count_if(fn.size(scores) != length).alias("mismatched"),
        fn.count_if(fn.exists(scores, _not_finite)).alias("non_finite"),
        fn.count_if(_ascending(scores)).alias("ascending"),
        *(_shared(reason).alias(f"excluded_{reason}") for reason in EXCLUSION_REASONS),
    ]


def _nulls() -> list[Column]:
    missing = {
        "user_id": [fn.col("user_id").isNull()],
        "source_ids": [fn.col("source_ids").isNull(), fn.exists("source_ids", fn.isnull)],
        "scores": [fn.col("scores").isNull(), fn.exists("scores", fn.isnull)],
        "personal": [fn.col("personal").isNull()],
    }
    return [fn.count_if(reduce(or_, tests)).alias(f"null_{name}") for name, tests in missing.items()]


def _not_finite(score: Column) -> Column:
    return fn.isnan(score) | (fn.abs(score) == float("inf"))


def _ascending(scores: Column) -> Column:
    """A score above the one before it; arrays with NaN or null are counted elsewhere."""
    sound = ~fn.exists(scores, lambda score: score.isNull() | _not_finite(score))
    return sound & (fn.sort_array(scores, asc=False) != scores)


def _shared(reason: str) -> Column:
    count = fn.size(fn.array_intersect(fn.col("source_ids"), fn.col(reason)))
    return fn.coalesce(fn.sum(count), fn.lit(0))  # users without exclusions have null


def _per_source(lists: DataFrame, sources: DataFrame) -> DataFrame:
    """One row per source of the lists or of the sources: entries, entries in personal lists, eligible."""
    columns_of(sources, ("source_id", "eligible"))
    entries = lists.select("personal", fn.explode(fn.array_distinct("source_ids")).alias("source_id"))
    counts = entries.groupBy("source_id").agg(
        fn.count(fn.lit(1)).alias("entries"), fn.count_if("personal").alias("personal_entries")
    )
    known = sources.select("source_id", "eligible").where("source_id is not null")
    return counts.where("source_id is not null").join(known, "source_id", "full")  # null entries are counted elsewhere


def _catalogue(fallback: FallbackList) -> list[Column]:
    eligible = fn.expr("eligible <=> true")  # a source that is not in the sources is not eligible
    in_fallback = fn.col("source_id").isin(list(fallback.source_ids))
    return [
        fn.coalesce(fn.sum(fn.when(~eligible, fn.col("entries"))), fn.lit(0)).alias("ineligible"),
        fn.count_if(eligible).alias("eligible_sources"),
        fn.count_if(eligible & (fn.col("entries") > 0)).alias("listed_sources"),
        fn.coalesce(fn.max("personal_entries"), fn.lit(0)).alias("most_frequent"),
        fn.collect_set(fn.when(eligible & in_fallback, fn.col("source_id"))).alias("eligible_fallback"),
    ]
