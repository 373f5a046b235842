"""Lists that count as given to their users, where nobody knows what was answered or shown: at the start of each day."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from conf.shadow import SHADOW, ShadowSample
from features.hash_columns import arm_column
from models.outcomes.basis import Basis
from models.outcomes.figures import TREATMENT
from models.outcomes.rows import DAY_US, Served
from models.outcomes.shadow import world_of

_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def moments_of(run: str, served: Sequence[Served], start: datetime, end: datetime) -> list[tuple[int, Served]]:
    """Returns when lists of a run are given (µs since 1970), and what the pointer said then.

    That is the start of each day from `start` to before `end` on which the treatment got it, or its first moment then.
    """
    found = []
    for period in _merged(served):
        if period.treatment != run or not period.share_bp:
            continue
        first, last = (_micros(moment) for moment in (max(period.since, start), min(period.until or end, end)))
        mornings = range(first - first % DAY_US + DAY_US, last, DAY_US)
        found += [(at, period) for at in (first, *mornings) if at < last]
    return found


def lists_given(lists: DataFrame, run: str, moments: Sequence[tuple[int, Served]]) -> DataFrame:
    """Returns lists (user_id, source_ids) of a run as answers to the users whom it served at these moments."""
    user = sf.col("user_id")
    given = [
        sf.when(arm_column(user, period.salt) < period.share_bp, sf.lit(at).cast("bigint")) for at, period in moments
    ]
    return _answers(lists, given, run, TREATMENT, Basis.LISTED)


def shadows_given(lists: DataFrame, run: str, moments: Sequence[tuple[int, Served]]) -> DataFrame:
    """Returns shadow lists of a run as answers, in the world of these."""
    user = sf.col("user_id")
    given = [
        sf.when(arm_column(user, period.salt) >= period.share_bp, sf.lit(at).cast("bigint")) for at, period in moments
    ]
    return _answers(lists, given, run, SHADOW, world_of(Basis.LISTED))


def taking_over(given: DataFrame, samples: Sequence[ShadowSample]) -> DataFrame:
    """Returns lists given in the treatment to users who may have had a shadow list before, in the world of these."""
    user, is_sampled = sf.col("user_id"), sf.lit(col=False)
    for sample in samples:
        is_sampled |= arm_column(user, sample.own_salt) < int(sample.share_bp)
    return given.where(is_sampled).withColumn("basis", sf.lit(world_of(Basis.LISTED)))


def _merged(served: Sequence[Served]) -> list[Served]:
    """Returns the periods, those as one between which neither run nor arms changed."""
    found: list[Served] = []
    for one in served:
        same = ("treatment", "salt", "share_bp")
        if found and found[-1].until == one.since and all(getattr(found[-1], of) == getattr(one, of) for of in same):
            found[-1] = replace(found[-1], until=one.until)
        else:
            found.append(one)
    return found


def _answers(lists: DataFrame, given: Sequence[Column], run: str, arm: str, basis: str) -> DataFrame:
    known = [sf.lit(value).alias(name) for name, value in (("basis", basis), ("run", run), ("arm", arm))]
    none = sf.lit(None).cast("string").alias("surface")
    at = sf.explode(sf.array_compact(sf.array(*given))).alias("at")
    return lists.select("user_id", at, *known, none, "source_ids", sf.lit(1).alias("first"))


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
