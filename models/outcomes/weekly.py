"""What each user did in the weeks of an experiment: rows (user, week, metric) that sums over users are made from.

An answer counts in the week it was given, an event in the week it happened, whichever week its owner or holder is of:
what happens later changes no week that is over. Week 0 is the time before the experiment.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as sf
from pyspark.sql.pandas.types import to_arrow_type

from conf.outcomes import OutcomeSettings
from models.arrays.arrow import column_of
from models.experiment.cells import AUDIENCE, ROBOT, SEEN
from models.experiment.metric import Metric
from models.outcomes.basis import Basis
from models.outcomes.buckets import by_bucket
from models.outcomes.columns import NONE, Bucket, Events, Flags, Ints, bucket_of, day_number
from models.outcomes.credit import credit, new_among
from models.outcomes.marginals import known_categories
from models.outcomes.rows import ANSWERED, EVENT
from models.outcomes.sums import Categories, of_sources

_LARGEST_AMOUNT = 2.0**32


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


def weekly_rows(
    answers: DataFrame,
    events: DataFrame,
    audience: DataFrame | None,
    weeks: Sequence[Week],
    basis: Basis,
    settings: OutcomeSettings,
    categories: DataFrame | None = None,
    *,
    buckets: int = 8,
) -> DataFrame:
    """Returns user_id, week, metric (`models.experiment.metric`), x (double); each metric of a user and week once.

    answers, events: by `models.outcomes.rows`, events from `days_before` the weeks on; audience: user_id, week of who
    was in it before each week but 0; None: who had an event in the `new_days` before. categories: source_id, category.
    buckets: into how many parts users are divided; a worker holds one at a time.
    """
    known = None if categories is None else known_categories(categories)
    by_activity = audience is None
    columns: list[tuple[str, pa.DataType]] = [("user_id", to_arrow_type(events.schema["user_id"].dataType))]
    schema = pa.schema([*columns, ("week", pa.int32()), ("metric", pa.string()), ("x", pa.float64())])

    def work(tables: Mapping[str, pa.Table]) -> pa.Table:
        bucket = bucket_of(tables, [basis.value], settings, None if known is None else known[0])
        found = _Rows(weeks)
        _count_events(found, bucket, settings, known)
        _count_answers(found, bucket, basis, settings, known)
        if by_activity:
            _count_audience(found, bucket, settings)
        return found.table(bucket, schema)

    rows = by_bucket({ANSWERED: answers, EVENT: events}, buckets, work, schema)
    if audience is None:
        return rows
    there = audience.select("user_id", sf.col("week").cast("int")).distinct()
    return rows.unionByName(there.select("*", sf.lit(AUDIENCE).alias("metric"), sf.lit(1.0).alias("x")))


@dataclass
class _Rows:
    """What is counted so far: user, week, metric, and how much of its units."""

    weeks: Sequence[Week]
    codes: dict[str, int] = field(default_factory=dict)
    """Metric → its number."""
    parts: list[tuple[Ints, Ints, Ints, Ints]] = field(default_factory=list)

    def add(self, name: str, user: Ints, day: Ints, units: Ints | None = None) -> None:
        """Counts a metric on these days, one for each or so many units."""
        self.add_by([name], np.zeros(len(user), np.int64), user, day, units)

    def add_by(self, names: Sequence[str], code: Ints, user: Ints, day: Ints, units: Ints | None = None) -> None:
        """Counts the metric of each code."""
        metric = np.array([self.codes.setdefault(name, len(self.codes)) for name in names], np.int64)
        week = self._week_of(day)
        kept = week != NONE
        some = np.ones(len(user), np.int64) if units is None else units
        self.parts.append((user[kept], week[kept], metric[code[kept]], some[kept]))

    def table(self, bucket: Bucket, schema: pa.Schema) -> pa.Table:
        """Returns each metric of a user and week once."""
        user, week, metric, units = (np.concatenate(some) for some in zip(*self.parts, strict=True))
        order = np.lexsort((metric, week, user))
        user, week, metric, units = (some[order] for some in (user, week, metric, units))
        is_first = np.zeros(len(user), np.bool_)
        is_first[:1] = True
        for some in (user, week, metric):
            is_first[1:] |= some[1:] != some[:-1]
        starts = np.flatnonzero(is_first)
        sums = np.add.reduceat(units, starts) if len(starts) else units
        user, week, metric = (some[starts] for some in (user, week, metric))
        flag = np.array([name in (AUDIENCE, ROBOT, SEEN) for name in self.codes], np.bool_)
        x = np.where(flag[metric], 1, sums) / np.array([Metric.parse(name).unit for name in self.codes])[metric]
        some = np.flatnonzero(x)
        names = pa.array(self.codes, pa.string()).take(column_of(metric[some]))
        columns = [bucket.users.take(column_of(user[some])), column_of(week[some]), names, column_of(x[some])]
        return pa.table(columns, names=schema.names).cast(schema)

    def _week_of(self, day: Ints) -> Ints:
        week = np.full(len(day), NONE)
        for one in self.weeks:
            week[(day >= day_number(one.first)) & (day < day_number(one.end))] = one.number
        return week


def _count_events(found: _Rows, bucket: Bucket, settings: OutcomeSettings, known: Categories | None) -> None:
    """Counts what users did, answered or not."""
    robots, events = bucket.robot_events, bucket.events
    found.add(ROBOT, robots.user, robots.day)
    pair = events.user * (1 + events.source.max(initial=0)) + events.source
    new = new_among(events, np.flatnonzero(events.engages), pair, settings)
    _count_named(found, "", events, np.ones(len(events.at), np.bool_))
    found.add("new", events.user[new], events.day[new])
    _count_categories(found, "new", bucket, new, known)


def _count_answers(
    found: _Rows, bucket: Bucket, basis: Basis, settings: OutcomeSettings, known: Categories | None
) -> None:
    """Counts answers, and what is credited to them."""
    answers, robots, events = bucket.answers[basis.value], bucket.robot_answers[basis.value], bucket.events
    found.add("answers", answers.user, answers.day)
    for some in (answers, robots):
        found.add(SEEN, some.user, some.day)
    credits = credit(answers, events, settings)
    _count_named(found, "owned_", events, credits.owner != NONE)
    listed_new = credits.new & (credits.holder != NONE)
    for name, flags in (("owned_new", credits.new), ("listed_new", listed_new), ("hits", credits.hit)):
        found.add(name, events.user[flags], events.day[flags])
    _count_categories(found, "hits", bucket, credits.hit, known)


def _count_named(found: _Rows, prefix: str, events: Events, chosen: Flags) -> None:
    """Counts engaging events, and events and their amounts by name."""
    engaging = chosen & events.engages
    found.add(f"{prefix}events", events.user[engaging], events.day[engaging])
    for name, flags in (("events", chosen), ("amount", chosen & ~np.isnan(events.amount))):
        names = [str(Metric(f"{prefix}{name}", "event", value)) for value in events.event.values]
        units = None
        if name == "amount":
            amounts = np.clip(events.amount[flags], -_LARGEST_AMOUNT, _LARGEST_AMOUNT)
            units = np.rint(amounts * Metric("amount").unit).astype(np.int64)
        found.add_by(names, events.event.code[flags], events.user[flags], events.day[flags], units)


def _count_categories(found: _Rows, name: str, bucket: Bucket, chosen: Flags, known: Categories | None) -> None:
    if known is None:
        return
    events, category = bucket.events, of_sources(bucket.sources, known)
    names = [str(Metric(name, "category", value)) for value in category.values]
    code = category.code[events.source[chosen]]
    found.add_by(names, code, events.user[chosen], events.day[chosen])


def _count_audience(found: _Rows, bucket: Bucket, settings: OutcomeSettings) -> None:
    """Counts who had an event in the `new_days` before each week, but 0."""
    for events in (bucket.events, bucket.robot_events):
        for week in (one for one in found.weeks if one.number):
            start, end = day_number(week.first) - settings.new_days, day_number(week.first)
            user = np.unique(events.user[(events.day >= start) & (events.day < end)])
            found.add(AUDIENCE, user, np.full(len(user), end))
