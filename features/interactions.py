"""Sums daily partials to one weight per (user, source), independent of the order of addition."""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from conf.datasets import EventDataset
from conf.errors import ConfigError
from conf.ids import UserId
from conf.settings import InteractionSettings
from features.decay import factor_of
from features.errors import WeightsError
from features.exact_sum import LARGEST, SMALLEST, exact_sum
from features.partials import DailyPartials
from features.reading.rows import MIN_WEIGHT
from features.tables import union_of

EVENTS_PER_TASK = 2**19
"""Events whose partials one task weighs, on average, unless `spark.shuffle_partitions` allows fewer tasks."""


@dataclass(frozen=True)
class Span:
    """Days whose events are weighed together, e.g. those of the run's windows, or those before the cut."""

    name: str
    """Prefix of its columns."""
    days: Mapping[str, Sequence[dt.date]]
    """Event dataset → days, all before `as_of`."""
    as_of: dt.date
    """Day that ages are relative to."""
    with_first: bool = False
    """Whether it has `first_ts`."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of its columns, without the prefix."""
        return ("weight", "first_ts", "last_ts") if self.with_first else ("weight", "last_ts")

    def pairs_of(self, weighed: DataFrame) -> DataFrame:
        """Returns the pairs of `weigh_pairs` with any event in the span, and its `columns`; weights have any sign."""
        columns = (sf.col(self.column(name)).alias(name) for name in self.columns)
        return weighed.where(sf.col(self.column("last_ts")).isNotNull()).select("user_id", "source_id", *columns)

    def column(self, name: str) -> str:
        """Returns the name of one of its columns."""
        return f"{self.name}_{name}"


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


def check_sums(partials: Mapping[str, DailyPartials], span: Span, settings: InteractionSettings) -> None:
    """Raises WeightsError if the weights of a user and source in a span could add up to too much.

    partials: event dataset → partials of at least the span's days.
    """
    bounds = {
        (name, record.day, event): largest
        * abs(factor_of(settings.event_weights[event], (span.as_of - record.day).days, settings.half_life_days))
        for name, made in partials.items()
        for record in made.records
        if record.day in span.days[name]
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


def range_starts(users: Sequence[UserId], ranges: int) -> list[UserId]:
    """Returns the users at which the second and later ranges of users begin; users: of a sample of the rows."""
    ordered = sorted(users)
    return sorted({ordered[len(ordered) * i // ranges] for i in range(1, ranges)}) if ordered else []


def weigh_pairs(
    partials: Mapping[str, DataFrame],
    spans: Sequence[Span],
    settings: InteractionSettings,
    starts: Sequence[UserId] = (),
) -> DataFrame:
    """Returns one row per (user_id, source_id) with any event, sorted by them over all partitions, in one pass.

    Columns of each span, null for a pair without events in it: weight (double, any sign), last_ts, perhaps first_ts.

    Each range of users, by `range_starts`, is one partition: Spark's own ranges would cost another pass over all rows.
    `partials` are event dataset → its partials, of the spans' days and no others, with only event names that have a
    weight; they must have passed `check_sums`.
    """
    places = _Places(spans, tuple(settings.event_weights))
    known = [
        frame.select("user_id", "source_id", "amount", "last_ts", places.of(name)) for name, frame in partials.items()
    ]
    placed = union_of(known).withColumn("part", _range_of(starts))
    together = placed.repartitionById(len(starts) + 1, "part")  # in order
    terms = (sf.expr(f"amount * {places.factors(span, settings)}").alias(span.column("term")) for span in spans)
    grouped = together.select("part", "user_id", "source_id", "last_ts", *terms).groupBy("part", "user_id", "source_id")
    weighed = grouped.agg(*(column for span in spans for column in _sums(span)))
    return weighed.drop("part").sortWithinPartitions("user_id", "source_id")


def _range_of(starts: Sequence[UserId], before: int = 0) -> Column:
    """Returns the number of `starts` up to a row's user, plus `before`, by halves."""
    if not starts:
        return sf.lit(before)
    middle = len(starts) // 2
    lower, upper = _range_of(starts[:middle], before), _range_of(starts[middle + 1 :], before + middle + 1)
    return sf.when(sf.col("user_id") < sf.lit(starts[middle]), lower).otherwise(upper)


def interactions_of(pairs: DataFrame) -> DataFrame:
    """Returns contract.interactions: the pairs with a positive weight; they keep the order of `weigh_pairs`."""
    return pairs.where("weight > 0").select("user_id", "source_id", "weight", "last_ts")


def _sums(span: Span) -> list[Column]:
    term = span.column("term")
    counted = sf.when(sf.col(term).isNotNull(), sf.col("last_ts"))
    found = {
        "weight": exact_sum(term),
        "first_ts": sf.min(counted),  # last event of the first day: only its day is used
        "last_ts": sf.max(counted),
    }
    return [found[name].alias(span.column(name)) for name in span.columns]


class _Places:
    """The place of each (dataset, event, day) in constant arrays of factors, one array per span.

    So that a row keeps one number until its user's rows are together: no name, no join, and no power in Spark.
    """

    def __init__(self, spans: Sequence[Span], events: Sequence[str]) -> None:
        self._events = events
        self._days: dict[str, list[dt.date]] = {}
        self._before: dict[str, int] = {}
        before = 0
        for name in dict.fromkeys(name for span in spans for name in span.days):
            days = [day for span in spans for day in span.days.get(name, ())]
            first, last = min(days, default=dt.date.max), max(days, default=dt.date.min)
            self._days[name] = [first + dt.timedelta(days=i) for i in range((last - first).days + 1)]
            self._before[name] = before
            before += len(self._days[name]) * len(events)

    def of(self, name: str) -> Column:
        """Returns `place`, from 1, of a row of daily partials of the dataset."""
        days, before = self._days[name], self._before[name]
        text = sf.concat(sf.lit("an event without a weight passed the check: "), sf.col("event"))
        number = sf.raise_error(text).cast("int")
        for i, event in reversed([*enumerate(self._events)]):
            number = sf.when(sf.col("event") == event, sf.lit(before + i * len(days) + 1)).otherwise(number)
        return (number + sf.datediff("dt", sf.lit(days[0] if days else None))).alias("place")

    def factors(self, span: Span, settings: InteractionSettings) -> str:
        """Returns the SQL of the factor at `place`: null on days that are not in the span."""
        weights, half_life = settings.event_weights, settings.half_life_days
        factors = [
            repr(factor_of(weights[event], (span.as_of - day).days, half_life)) + "D"
            if day in counted
            else "CAST(NULL AS DOUBLE)"
            for name, days in self._days.items()
            for counted in ({*span.days.get(name, ())},)
            for event in self._events
            for day in days
        ]
        return f"element_at(array({', '.join(factors) or 'CAST(NULL AS DOUBLE)'}), place)"
