"""Daily partials → one weight per (user, source), in fixed-point integers so that no order of addition matters."""

import datetime as dt
import math
from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from conf.contract import AMOUNT_ONE
from conf.settings import InteractionSettings
from features.partials import checked_sum

FACTOR_ONE = 2**24
"""Fixed-point unit of the weight of an event of one name and age."""
FIXED_ONE = AMOUNT_ONE * FACTOR_ONE
"""Fixed-point unit of `fixed`, the weight of a pair: int64 holds weights up to 8.3 million."""


def factor_of(event_weight: float, age_days: int, half_life_days: float) -> int:
    """event_weight · 2^(−age_days / half_life_days) in units of 1 / FACTOR_ONE."""
    return round(event_weight * math.exp2(-age_days / half_life_days) * FACTOR_ONE)


def weigh_pairs(
    partials: DataFrame, settings: InteractionSettings, as_of: dt.date, days: Sequence[dt.date]
) -> DataFrame:
    """One row per (user_id, source_id) with any event: fixed (int64, weight · FIXED_ONE, any sign), first_ts, last_ts.

    `partials` hold events of `days` only, all of them before `as_of`, with a weight for each of their names.
    """
    factor = _factor(settings.event_weights, settings.half_life_days, as_of, min(days, default=as_of))
    weighed = partials.select("user_id", "source_id", "last_ts", _product("amount", factor).alias("fixed"))
    return weighed.groupBy("user_id", "source_id").agg(
        checked_sum(sf.col("fixed"), "the weights of one user and source").alias("fixed"),
        sf.min("last_ts").alias("first_ts"),  # of its first day the last: the day is what is asked for
        sf.max("last_ts").alias("last_ts"),
    )


def interactions_of(pairs: DataFrame) -> DataFrame:
    """contract.interactions: the pairs with a positive weight, sorted by user_id, source_id over all files."""
    weight = (sf.col("fixed").cast("double") / FIXED_ONE).alias("weight")
    positive = pairs.where("fixed > 0").select("user_id", "source_id", weight, "last_ts")
    return positive.orderBy("user_id", "source_id")


def _factor(event_weights: Mapping[str, float], half_life_days: float, as_of: dt.date, oldest: dt.date) -> Column:
    """One constant array per event name, looked up by day: no join, and no product of floats in Spark."""
    ages = range((as_of - oldest).days, 0, -1)
    place = sf.datediff(sf.col("dt"), sf.lit(oldest)) + 1
    factor = sf.raise_error(sf.concat(sf.lit("an event without a weight passed the check: "), sf.col("event"))).cast(
        "bigint"
    )
    for event, weight in event_weights.items():
        by_day = sf.lit([factor_of(weight, age, half_life_days) for age in ages] or [0]).cast("array<bigint>")
        factor = sf.when(sf.col("event") == event, sf.element_at(by_day, place)).otherwise(factor)
    return factor


def _product(amount: str, factor: Column) -> Column:
    message = "a weight overflows 63 bits: a robot or a unit error is at work; look at the largest weights"
    return sf.coalesce(sf.try_multiply(sf.col(amount), factor), sf.raise_error(sf.lit(message)).cast("bigint"))
