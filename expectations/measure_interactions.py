"""Measures all interactions in Spark by native aggregates, in two jobs."""

import datetime as dt
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from expectations.interactions import BINS, FIRST_BIN, QUANTILES, InteractionProfile
from expectations.schema import columns_of

_COLUMNS = ("user_id", "source_id", "weight", "last_ts")
_ACCURACY = 10_000
"""Accuracy of percentile_approx: the rank error is at most 1 / _ACCURACY."""


def measure_interactions(df: DataFrame) -> InteractionProfile:
    """Returns the profile of `df` (contract.interactions); raises MeasureError if a column is missing.

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
    usable = _finite() & (sf.col("weight") > 0)
    place = sf.floor(sf.log2("weight")) - sf.lit(FIRST_BIN)
    return sf.when(usable, sf.greatest(sf.lit(0), sf.least(sf.lit(BINS - 1), place))).alias("bin")


def _finite() -> Column:
    weight = sf.col("weight")
    return ~(sf.isnan(weight) | (sf.abs(weight) == float("inf")))


def _rows() -> list[Column]:
    finite = sf.when(_finite(), sf.col("weight"))
    return [
        sf.count(sf.lit(1)).alias("rows"),
        *(sf.count_if(sf.col(name).isNull()).alias(f"null_{name}") for name in _COLUMNS),
        sf.count_if(sf.col("user_id").isNotNull() & sf.col("source_id").isNotNull()).alias("with_ids"),
        sf.count_if(~_finite()).alias("non_finite"),
        sf.count_if(finite <= 0).alias("non_positive"),
        sf.min(finite).alias("min"),
        sf.max(finite).alias("max"),
        sf.avg(finite).alias("mean"),
        sf.percentile_approx(finite, list(QUANTILES), _ACCURACY).alias("quantiles"),
        *(sf.count_if(sf.col("bin") == k).alias(f"bin_{k}") for k in range(BINS)),
        sf.unix_micros(sf.min("last_ts")).alias("first_ts"),
        sf.unix_micros(sf.max("last_ts")).alias("last_ts"),
    ]


def _distinct() -> list[Column]:
    return [
        sf.count_distinct("user_id").alias("users"),
        sf.count_distinct("source_id").alias("sources"),
        sf.count_distinct("user_id", "source_id").alias("pairs"),
    ]
