"""How long and how large an experiment must be, before it starts: what the past says, or what is assumed."""

import dataclasses
import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from conf.judging import JudgingSettings
from conf.share import Share
from jobs.experiments.report import pooled
from jobs.experiments.store import ExperimentStore
from jobs.experiments.weeks import SumsRecord, WeekStore
from jobs.outcomes.store import OutcomeStore, Record
from models.experiment.decide import ALPHA, SPENT
from models.experiment.effects import FEWEST_USERS, NoEffect
from models.experiment.metric import Metric
from models.experiment.moments import WHOLE_BP
from models.experiment.plan import ASSUMED_CORRELATION, Detectable, Past, detectable, past_of, past_of_groups

_WEEK = 7
_GROUPED = {"hits": "group_hits", "answers": "group_answers"}
"""Metrics of which measured days hold sums per group of users → their column."""
_SHADOW = "shadow"


@dataclass(frozen=True)
class Source:
    """What a plan rests on."""

    said: str
    pasts: Mapping[str, Past | NoEffect]
    """Metric → what it did in weeks that are over."""
    assumed: tuple[str, ...] = ()
    """What is not known, and taken to be so."""


@dataclass(frozen=True)
class PlannedWeek:
    """What an experiment detects that ends with this week."""

    week: int
    share_bp: int
    found: Detectable | None
    """None: one arm has too few users in every week until then."""


@dataclass(frozen=True)
class PlannedMetric:
    """One metric."""

    metric: str
    past: Past
    weeks: tuple[PlannedWeek, ...]


@dataclass(frozen=True)
class ExperimentPlan:
    """How long, and how large."""

    product: str
    source: Source
    cuped: bool
    power: float
    metrics: tuple[PlannedMetric | tuple[str, NoEffect], ...]
    warnings: tuple[str, ...]


def plan_experiment(
    product: str, source: Source, shares_bp: Sequence[int], judged_by: JudgingSettings, power: float
) -> ExperimentPlan:
    """Returns the plan of an experiment with these shares, a week each."""
    known = (_planned(name, past, shares_bp, judged_by, power) for name, past in source.pasts.items())
    users = max((past.users for past in source.pasts.values() if isinstance(past, Past)), default=None)
    warnings = () if users is None else warnings_of_shares(users, shares_bp)
    return ExperimentPlan(product, source, judged_by.cuped, power, tuple(known), warnings)


def warnings_of_shares(users: int, shares_bp: Sequence[int]) -> tuple[str, ...]:
    """Returns why an audience of so many users decides nothing at its first share, or from a later one on."""
    first = _warning_of_first(users, shares_bp[0])
    if first is not None:
        return (first,)
    late = [share for share in shares_bp if users - users * share // WHOLE_BP < FEWEST_USERS]
    return () if not late else (_warning_of_late(users, min(late)),)


def _warning_of_late(users: int, share_bp: int) -> str:
    left, most = users - users * share_bp // WHOLE_BP, math.floor(1_000 - 1_000 * FEWEST_USERS / users) / 10
    return (
        f"from share {Share(share_bp)} on about {left:,} of {users:,} users are in the control, and nothing is "
        f"decided by fewer than {FEWEST_USERS}: those weeks count for nothing; end with at most {most:g} % to go on "
        "measuring"
    )


def _warning_of_first(users: int, share_bp: int) -> str | None:
    few = f"nothing is decided by fewer than {FEWEST_USERS}"
    if users < 2 * FEWEST_USERS:
        return f"an audience of {users:,} users is too small: {few} users in either arm"
    treated = users * share_bp // WHOLE_BP
    least = math.ceil(1_000 * FEWEST_USERS / users) / 10
    first = f"the first share {Share(share_bp)}"
    if treated < FEWEST_USERS:
        return f"{first} treats about {treated:,} of {users:,} users, and {few}: begin with at least {least:g} %"
    if users - treated < FEWEST_USERS:
        left = f"leaves about {users - treated:,} of {users:,} users in the control"
        return f"{first} {left}, and {few}: begin with at most {100 - least:g} %"
    return None


def given(metric: str, users: int, mean: float, deviation: float, correlation: float | None) -> Source:
    """Returns what was given on the command line."""
    assumed = () if correlation is not None else (_assumed("no --correlation was given"),)
    past = Past(users, mean, deviation, ASSUMED_CORRELATION if correlation is None else correlation)
    return Source("as given", {metric: past}, assumed)


def newest_measured(experiments: ExperimentStore, name: str | None) -> tuple[SumsRecord, WeekStore] | None:
    """Returns the newest sums of an experiment, or of the newest one that has any; raises what reading raises."""
    names = [name] if name is not None else [one.name for one in reversed(experiments.read_all())]
    for one in names:
        store = WeekStore.of(experiments, one)
        if sums := store.sums():
            return sums[max(sums)], store
    return None


def of_sums(record: SumsRecord, store: WeekStore, metrics: Sequence[str], users: int | None) -> Source:
    """Returns what the weeks of an experiment say, both arms together; raises DamagedSums."""
    weeks = [week.number for week in record.weeks[1:]]
    moments = store.moments(record, metrics)
    pasts = {
        name: past_of(pooled(moments[name]), weeks, ratio=Metric.parse(name).parts is not None)
        if name in moments
        else NoEffect("not measured: nobody did any of it")
        for name in metrics
    }
    said = (
        f"weeks 1 to {weeks[-1]} of experiment {record.experiment} ({record.weeks[1].first} to {record.weeks[-1].last})"
    )
    return _completed(said, pasts, len(weeks), users)


def of_outcomes(store: OutcomeStore, metrics: Sequence[str], users: int, users_said: str) -> Source | None:
    """Returns what whole weeks of measured days say; None: there is none. Raises DamagedOutcomes."""
    weeks = _whole_weeks(store.records())
    if not weeks:
        return None
    rows = [[row for record in week for row in store.table(record).to_pylist()] for week in weeks]
    covered = round(users * min(_covered(record) for week in weeks for record in week))
    pasts = {name: _past_of_rows(name, rows, covered) for name in metrics}
    said = (
        f"{len(weeks)} weeks of outcomes ({weeks[0][0].day} to {weeks[-1][-1].day}) of {covered:,} users {users_said}"
    )
    return _completed(said, pasts, len(weeks), None)


def _past_of_rows(name: str, weeks: Sequence[Sequence[Mapping[str, Any]]], users: int) -> Past | NoEffect:
    column = _GROUPED.get(name)
    if column is None:
        return NoEffect(
            f"measured days know {' and '.join(_GROUPED)} only; give --mean and --sd, or measure an experiment"
        )
    chosen = [
        [row[column] for row in rows if row["by"] == "all" and row["arm"] != _SHADOW and row["basis"] == "answered"]
        for rows in weeks
    ]
    if not all(chosen) or any(one is None for rows in chosen for one in rows):
        return NoEffect("not known of every week: nobody was answered, or it is of older code")
    return past_of_groups(np.array([np.sum(rows, axis=0) for rows in chosen], dtype=np.float64), users)


def _whole_weeks(records: Mapping[dt.date, Record]) -> list[list[Record]]:
    """Returns the newest weeks of which every day is measured and mature, one behind the other, the oldest first."""
    found: list[list[Record]] = []
    day = max((day for day, record in records.items() if record.mature), default=None)
    while day is not None:
        days = [day - dt.timedelta(days=back) for back in reversed(range(_WEEK))]
        if not all(one in records and records[one].mature for one in days):
            break
        found.append([records[one] for one in days])
        day -= dt.timedelta(days=_WEEK)
    return found[::-1]


def _covered(record: Record) -> float:
    """Returns the part of the audience that had lists on a day."""
    shares = [1.0 if one.control is not None else one.share_bp / WHOLE_BP for one in record.served if one.treatment]
    return max(shares, default=1.0)


def _completed(said: str, pasts: Mapping[str, Past | NoEffect], weeks: int, users: int | None) -> Source:
    """Returns the source with what is not known of it."""
    changes: dict[str, Any] = {} if weeks > 1 else {"correlation": ASSUMED_CORRELATION}
    changes |= {} if users is None else {"users": users}
    assumed = [] if weeks > 1 else [_assumed("one week is known")]
    assumed += [] if users is None else [f"the audience is taken to have {users:,} users, as given"]
    full = {
        name: past if isinstance(past, NoEffect) else dataclasses.replace(past, **changes)
        for name, past in pasts.items()
    }
    return Source(said, full, tuple(assumed))


def _planned(
    name: str, past: Past | NoEffect, shares_bp: Sequence[int], judged_by: JudgingSettings, power: float
) -> PlannedMetric | tuple[str, NoEffect]:
    if isinstance(past, NoEffect):
        return name, past
    early = _too_small(past, shares_bp)
    found = detectable(past, shares_bp[early:], cuped=judged_by.cuped, alpha=_level(judged_by), power=power)
    if isinstance(found, NoEffect):
        return name, found
    each: list[Detectable | None] = [*([None] * early), *found]
    weeks = (PlannedWeek(week, *pair) for week, pair in enumerate(zip(shares_bp, each, strict=True), 1))
    return PlannedMetric(name, past, tuple(weeks))


def _level(judged_by: JudgingSettings) -> float:
    """Returns the error at which Holm's procedure decides the first of all metrics."""
    return ALPHA * SPENT / len(judged_by.metrics)


def _too_small(past: Past, shares_bp: Sequence[int]) -> int:
    """Returns for how many weeks from the first one on an arm has too few users; 0 if it always has."""
    small = [min(share, WHOLE_BP - share) * past.users / WHOLE_BP < FEWEST_USERS for share in shares_bp]
    return small.index(False) if False in small else 0


def _assumed(why: str) -> str:
    return f"two weeks of the same user are taken to be correlated by {ASSUMED_CORRELATION:g}: {why}"
