"""Answers and events as rows: what was answered and what was shown in one form, whatever it comes from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from features.hash_columns import arm_column
from models.outcomes.basis import Basis

ANSWERED, EVENT = "answer", "event"
"""The two kinds of rows."""
ANSWER = ("run", "arm", "surface")
"""What is known of an answer, besides user, time, and places."""
DAY_US = 86_400_000_000


@dataclass(frozen=True)
class Served:
    """What the pointer said for a while, half-open; `until` None: still."""

    since: datetime
    until: datetime | None
    treatment: str | None
    control: str | None
    salt: str
    share_bp: int


def answers_of(exposures: DataFrame) -> DataFrame:
    """Returns what was answered (`contract.exposures`) as answers."""
    places = sf.coalesce("source_ids", sf.array().cast(exposures.schema["source_ids"].dataType)).alias("source_ids")
    return exposures.select("user_id", _at(), _basis(Basis.ANSWERED), *ANSWER, places, sf.lit(1).alias("first"))


def answers_shown(impressions: DataFrame, served: Sequence[Served]) -> DataFrame:
    """Returns what was shown (`contract.impressions`) as answers of one place each.

    The arm is the one of the pointer's history at that time; "unknown" where it says nothing.
    """
    return impressions.select(
        "user_id",
        _at(),
        _basis(Basis.SHOWN),
        "run",
        _arm_in(served).alias("arm"),
        "surface",
        sf.array("source_id").alias("source_ids"),
        sf.col("position").cast("int").alias("first"),
    )


def events_of(rows: DataFrame, engaging: Iterable[str]) -> DataFrame:
    """Returns kept rows of event datasets (user_id, source_id, event, ts, amount) as events.

    engaging: names of events that count as hits and new engagements.
    """
    engages = sf.col("event").isin(*sorted(engaging)).alias("engages")
    return rows.select("user_id", _at(), "source_id", "event", sf.col("amount").cast("double"), engages)


def _at() -> Column:
    return sf.unix_micros("ts").alias("at")


def _basis(basis: Basis) -> Column:
    return sf.lit(basis.value).alias("basis")


def _arm_in(served: Sequence[Served]) -> Column:
    arm = sf.lit("unknown")
    for period in served:
        is_in = sf.col("ts") >= sf.lit(period.since)
        if period.until is not None:
            is_in &= sf.col("ts") < sf.lit(period.until)
        is_treated = arm_column(sf.col("user_id"), period.salt) < period.share_bp
        arm = sf.when(is_in, sf.when(is_treated, "treatment").otherwise("control")).otherwise(arm)
    return arm
