"""Sums daily partials to one weight per (user, source), independent of the order of addition."""

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from conf.datasets import EventDataset
from conf.errors import ConfigError
from conf.settings import InteractionSettings
from features.errors import WeightsError
from features.exact_sum import LARGEST, SMALLEST, exact_sum
from features.partials import DailyPartials
from features.reading.rows import MIN_WEIGHT


def factor_of(event_weight: float, age_days: int, half_life_days: float) -> float:
    """Returns event_weight · 2^(−age_days / half_life_days)."""
    return event_weight * math.exp2(-age_days / half_life_days)


def check_factors(name: str, dataset: EventDataset, oldest_days: int, settings: InteractionSettings) -> None:
    """Raises ConfigError if an event up to `oldest_days` old could weigh too little to count."""
    least = MIN_WEIGHT if dataset.columns.multipliers else 1.0
    for event, weight in settings.event_weights.items():
        factor = factor_of(weight, oldest_days, settings.half_life_days)
        if weight == 0 or abs(factor) * least >= SMALLEST:
            continue
        raise ConfigError(
            f"dataset {name!r} ({dataset.path}): an event {event!r} that is {oldest_days} days old weighs "
            f"{weight:g} · 2^(−{oldest_days} / {settings.half_life_days:g}), which is too little to count. Shorten "
            f"the window, lengthen interactions.half_life_days, or multiply every one of interactions.event_weights by "
            f"the same number, which changes no list; at least {SMALLEST / least:.3g} counts"
        )


def check_sums(
    partials: Iterable[DailyPartials],
    days: Mapping[str, Sequence[dt.date]],
    settings: InteractionSettings,
    as_of: dt.date,
) -> None:
    """Raises WeightsError if the weights of a user and source over these days could add up to too much."""
    bounds = {
        (made.name, record.day, event): largest
        * abs(factor_of(settings.event_weights[event], (as_of - record.day).days, settings.half_life_days))
        for made in partials
        for record in made.records
        if record.day in days[made.name]
        for event, largest in record.largest.items()
    }
    if math.fsum(bounds.values()) <= LARGEST:
        return
    name, day, event = max(bounds, key=lambda key: bounds[key])
    raise WeightsError(
        f"the events of one user and source could add up to a weight of {math.fsum(bounds.values()):.3g}, and at most "
        f"{LARGEST:.3g} is held; most of it is {bounds[name, day, event]:.3g} for events {event!r} in dataset "
        f"{name!r}, dt={day}: one user with far too many events, or a unit error. Correct it, write columns.weight in "
        f"a larger unit, or divide every one of interactions.event_weights by the same number, which changes no list"
    )


def weigh_pairs(
    partials: DataFrame, settings: InteractionSettings, as_of: dt.date, days: Sequence[dt.date]
) -> DataFrame:
    """Returns one row per (user_id, source_id) with any event: weight (double, any sign), first_ts, last_ts.

    `partials` must contain only `days`, all before `as_of`, and only event names with a weight, and must have passed
    `check_sums`.
    """
    factor = _factor(settings.event_weights, settings.half_life_days, as_of, min(days, default=as_of))
    weighed = partials.select("user_id", "source_id", "last_ts", (sf.col("amount") * factor).alias("term"))
    return weighed.groupBy("user_id", "source_id").agg(
        exact_sum("term").alias("weight"),
        sf.min("last_ts").alias("first_ts"),  # last event of the first day: only its day is used
        sf.max("last_ts").alias("last_ts"),
    )


def interactions_of(pairs: DataFrame) -> DataFrame:
    """Returns contract.interactions: the pairs with a positive weight, sorted by user_id, source_id over all files."""
    positive = pairs.where("weight > 0").select("user_id", "source_id", "weight", "last_ts")
    return positive.orderBy("user_id", "source_id")


def _factor(event_weights: Mapping[str, float], half_life_days: float, as_of: dt.date, oldest: dt.date) -> Column:
    """Returns the weight of an event by name and age, from constant arrays: no join, and no power in Spark."""
    ages = range((as_of - oldest).days, 0, -1)
    place = sf.datediff(sf.col("dt"), sf.lit(oldest)) + 1
    factor = sf.raise_error(sf.concat(sf.lit("an event without a weight passed the check: "), sf.col("event"))).cast(
        "double"
    )
    for event, weight in event_weights.items():
        by_day = sf.lit([factor_of(weight, age, half_life_days) for age in ages] or [0.0])
        factor = sf.when(sf.col("event") == event, sf.element_at(by_day, place)).otherwise(factor)
    return factor
