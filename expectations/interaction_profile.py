"""Measures the interactions in Spark: every row, native aggregates, two jobs."""

import datetime as dt
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as fn

from expectations.profiles import BINS, FIRST_BIN, QUANTILES, InteractionProfile
from expectations.schema import columns_of

_COLUMNS = ("user_id", "source_id", "weight", "last_ts")
_ACCURACY = 10_000
"""Of percentile_approx: the rank error is at most 1 / _ACCURACY."""


def measure_interactions(df: DataFrame) -> InteractionProfile:
    """The profile of `df` (contract.interactions, one row per (user, source)); raises MeasureError if columns lack.

    One job without a shuffle counts rows and describes weights, one counts distinct users, sources and pairs exactly.
    """
    columns = columns_of(df, _COLUMNS)
    rows = _first(df.select(*_COLUMNS, _bin()).agg(*_rows()))
    distinct = _first(df.agg(*_distinct()))
    return InteractionProfile(
        columns=columns,
        rows=rows["rows"],
        users=distinct["users"],
        sources=distinct["sources"],
        nulls={name: rows[f"null_{name}"] for name in _COLUMNS},
        non_finite=rows["non_finite"],
        non_positive=rows["non_positive"],
        duplicates=rows["with_ids"] - distinct["pairs"],
        min=rows["min"],
        max=rows["max"],
        mean=rows["mean"],
        quantiles=tuple(rows["quantiles"] or ()),
        histogram=tuple(rows[f"bin_{k}"] for k in range(BINS)),
        first_ts=_utc(rows["first_ts"]),
        last_ts=_utc(rows["last_ts"]),
    )


def _first(df: DataFrame) -> dict[str, Any]:
    return df.collect()[0].asDict()


def _utc(microseconds: int | None) -> dt.datetime | None:
    return (
        None
        if microseconds is None
        else dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=microseconds)
    )


def _bin() -> Column:
    usable = _finite() & (fn.col("weight") > 0)
    place = fn.floor(fn.log2("weight")) - fn.lit(FIRST_BIN)
    return fn.when(usable, fn.greatest(fn.lit(0), fn.least(fn.lit(BINS - 1), place))).alias("bin")


def _finite() -> Column:
    weight = fn.col("weight")
    return ~(fn.isnan(weight) | (fn.abs(weight) == float("inf")))


def _rows() -> list[Column]:
    finite = fn.when(_finite(), fn.col("weight"))
    return [
        fn.count(fn.lit(1)).alias("rows"),
        *(fn.count_if(fn.col(name).isNull()).alias(f"null_{name}") for name in _COLUMNS),
        fn.count_if(fn.col("user_id").isNotNull() & fn.col("source_id").isNotNull()).alias("with_ids"),
        fn.count_if(~_finite()).alias("non_finite"),
        fn.count_if(finite <= 0).alias("non_positive"),
        fn.min(finite).alias("min"),
        fn.max(finite).alias("max"),
        fn.avg(finite).alias("mean"),
        fn.percentile_approx(finite, list(QUANTILES), _ACCURACY).alias("quantiles"),
        *(fn.count_if(fn.col("bin") == k).alias(f"bin_{k}") for k in range(BINS)),
        fn.unix_micros(fn.min("last_ts")).alias("first_ts"),
        fn.unix_micros(fn.max("last_ts")).alias("last_ts"),
    ]


def _distinct() -> list[Column]:
    return [
        fn.count_distinct("user_id").alias("users"),
        fn.count_distinct("source_id").alias("sources"),
        fn.count_distinct("user_id", "source_id").alias("pairs"),
    ]
