"""What each user did in the weeks of an experiment: rows (user, week, metric) that sums over users are made from.

An answer counts in the week it was given, an event in the week it happened, whichever week its owner or holder is of:
what happens later changes no week that is over. Week 0 is the time before the experiment.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as sf

from conf.outcomes import OutcomeSettings
from features.exact_sum import exact_sum
from features.tables import union_of
from models.experiment.cells import AUDIENCE, ROBOT, SEEN
from models.outcomes.basis import Basis
from models.outcomes.credited import credited
from models.outcomes.rows import ANSWERED, DAY_US

_EPOCH = dt.date(1970, 1, 1)


@dataclass(frozen=True, order=True)
class Week:
    """Days of an experiment; number 0: before its first week."""

    number: int
    first: dt.date
    days: int = 7

    @property
    def end(self) -> dt.date:
        """The day after its last one."""
        return self.first + dt.timedelta(days=self.days)

    @property
    def last(self) -> dt.date:
        """Its last day."""
        return self.end - dt.timedelta(days=1)


def days_before(settings: OutcomeSettings) -> int:
    """Returns how many days of events before a week decide what counts in it."""
    return max(settings.new_days, settings.horizon_days)


@contextmanager
def weekly_rows(
    answers: DataFrame,
    events: DataFrame,
    audience: DataFrame | None,
    weeks: Sequence[Week],
    basis: Basis,
    settings: OutcomeSettings,
    categories: DataFrame | None = None,
) -> Iterator[DataFrame]:
    """Yields user_id, week, metric (`models.experiment.metric`), x (double); each metric of a user and week once.

    answers, events: by `models.outcomes.rows`, events from `days_before` the weeks on; audience: user_id, week of who
    was in it before each week but 0; None: who had an event in the `new_days` before. categories: source_id, category.
    """
    day = ((sf.col("at") - sf.pmod("at", sf.lit(DAY_US))) / DAY_US).cast("int")
    rows = events.repartition("user_id").withColumn("day", day).persist(StorageLevel.DISK_ONLY)  # read once
    try:
        done = _of_events(_with_categories(rows, categories), weeks, settings)
        days = sorted({day for week in weeks for day in _days_of(week, settings.horizon_days)})
        counted = credited(answers.where(sf.col("basis") == basis.value), rows.drop("day"), basis, days, settings)
        owned = _of_answers(_with_categories(counted, categories), weeks)
        there = _active(rows, weeks, settings) if audience is None else audience
        metric = sf.lit(AUDIENCE).alias("metric")
        known = there.select("user_id", sf.col("week").cast("int"), metric, sf.lit(1.0).alias("x")).distinct()
        yield union_of([done, owned, known])
    finally:
        rows.unpersist()


def _of_events(events: DataFrame, weeks: Sequence[Week], settings: OutcomeSettings) -> DataFrame:
    """Returns what users did, answered or not."""
    most = settings.robots.max_events_per_day
    is_robot = sf.lit(col=False)
    if most is not None:
        is_robot = sf.count("*").over(Window.partitionBy("user_id", "day")) > most
    of_pair = Window.partitionBy("user_id", "source_id").orderBy("at").rowsBetween(Window.unboundedPreceding, -1)
    counts = sf.col("engages") & ~sf.col("robot")
    before = sf.last(sf.when(counts, sf.col("at")), ignorenulls=True).over(of_pair)
    since = sf.col("at") - before
    is_new = counts & (since.isNull() | (since >= settings.new_days * DAY_US))
    engages, event = sf.col("engages"), ("event", sf.col("event"))
    human = [
        _fact("events", condition=engages),
        _fact("events", event),
        _fact("amount", event, condition=sf.col("amount").isNotNull(), x=sf.col("amount")),
        _fact("new", condition=sf.col("new")),
    ]
    if "category" in events.columns:
        human.append(_fact("new", ("category", sf.col("category")), condition=sf.col("new")))
    facts = sf.when(sf.col("robot"), sf.array(_fact(ROBOT))).otherwise(sf.array_compact(sf.array(*human)))
    return _summed(events.withColumn("robot", is_robot).withColumn("new", is_new), facts, weeks)


def _of_answers(counted: DataFrame, weeks: Sequence[Week]) -> DataFrame:
    """Returns answers, and what is credited to them."""
    owned, engages = sf.col("owner").isNotNull() & ~sf.col("robot"), sf.col("engages")
    is_hit, is_new = sf.col("hit") & ~sf.col("robot"), owned & sf.col("new")
    has_amount, event = owned & sf.col("amount").isNotNull(), ("event", sf.col("event"))
    of_event = [
        _fact("hits", condition=is_hit),
        _fact("owned_events", condition=owned & engages),
        _fact("owned_events", event, condition=owned),
        _fact("owned_amount", event, condition=has_amount, x=sf.col("amount")),
        _fact("owned_new", condition=is_new),
        _fact("listed_new", condition=is_new & sf.col("holder").isNotNull()),
    ]
    if "category" in counted.columns:
        of_event.append(_fact("hits", ("category", sf.col("category")), condition=is_hit))
    answer = [_fact(SEEN), _fact("answers", condition=~sf.col("robot"))]
    facts = sf.when(sf.col("role") == ANSWERED, sf.array(*answer)).otherwise(sf.array(*of_event))
    return _summed(counted, sf.array_compact(facts), weeks)


def _summed(rows: DataFrame, facts: Column, weeks: Sequence[Week]) -> DataFrame:
    exploded = rows.select("user_id", _week_of(weeks), sf.explode(facts).alias("fact"))
    kept = exploded.where("week IS NOT NULL").select("user_id", "week", "fact.metric", "fact.x")
    summed = kept.groupBy("user_id", "week", "metric").agg(exact_sum("x").alias("x"))
    is_flag = sf.col("metric").isin(ROBOT, SEEN)
    return summed.withColumn("x", sf.when(is_flag, 1.0).otherwise(sf.col("x"))).where("x <> 0")


def _active(events: DataFrame, weeks: Sequence[Week], settings: OutcomeSettings) -> DataFrame:
    """Returns who had an event in the `new_days` before each week."""
    day = sf.col("day")
    before = [
        (week.number, _number(week.first), _number(week.first) - settings.new_days) for week in weeks if week.number
    ]
    of = [sf.when((day >= start) & (day < end), sf.lit(number)) for number, end, start in before] or [sf.lit(None)]
    return events.select("user_id", sf.explode(sf.array_compact(sf.array(*of))).alias("week"))


def _week_of(weeks: Sequence[Week]) -> Column:
    day = sf.col("day")
    of = (sf.when((day >= _number(week.first)) & (day < _number(week.end)), week.number) for week in weeks)
    return sf.coalesce(*of).cast("int").alias("week")


def _fact(
    name: str, by: tuple[str, Column] | None = None, *, condition: Column | None = None, x: Column | None = None
) -> Column:
    metric = sf.lit(name)
    if by is not None:
        metric = sf.concat(sf.lit(f"{name}:{by[0]}"), sf.coalesce(sf.concat(sf.lit("="), by[1]), sf.lit("")))
    fact = sf.struct(metric.alias("metric"), (sf.lit(1.0) if x is None else x.cast("double")).alias("x"))
    return fact if condition is None else sf.when(condition, fact)


def _with_categories(rows: DataFrame, categories: DataFrame | None) -> DataFrame:
    if categories is None:
        return rows
    known = categories.select("source_id", sf.col("category").cast("string").alias("category"))
    return rows.join(sf.broadcast(known), "source_id", "left")


def _days_of(week: Week, horizon: int) -> range:
    """Returns the days of which answers may be owners or holders of the week's events."""
    return range(_number(week.first) - horizon, _number(week.end))


def _number(day: dt.date) -> int:
    return (day - _EPOCH).days
