"""Faults planted in the newest week of generated worlds: what they cost, and whether the drift gates stop them.

A world has half a year of healthy weekly runs. A fault is harmful if it costs 1 % of the true NDCG or puts 1 % of the
users' lists in breach of an exclusion.
"""

import datetime as dt
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from benchmarks.drift.chain import Chain, Week, breaches
from benchmarks.drift.corruptions import CORRUPTIONS, plant
from conf.settings import Settings
from deploy.demo.tastes import World
from deploy.demo.truth import planted_ndcg
from deploy.demo.world import generate
from expectations.drift.checks import ranked
from expectations.drift.findings import Finding
from expectations.drift.history import History, to_table
from expectations.drift.judge import Judged, judge
from features.errors import FeaturesError
from jobs.stages.drift import with_served
from jobs.storage.store import Storage

SMALL: Mapping[str, Any] = {
    "train": {"factors": 32},
    "spark": {"shuffle_partitions": 2},
}
"""What differs from the product: what small worlds need."""
_WEEK = dt.timedelta(weeks=1)
_COST = 0.01
"""Part of the true NDCG, and share of lists in breach, from which a fault is harmful."""


@dataclass(frozen=True)
class Planted:
    """One fault in one world."""

    name: str
    kind: str
    datasets: tuple[str, ...]
    seed: int
    ndcg: float | None
    """True NDCG@10 of the lists ÷ that without the fault; None: the run could not be made, or was not asked for."""
    in_breach: float | None
    """Share of the lists that hold what they must not."""
    stopped: bool
    by: str
    """What stopped it first: a statistic, or an error of reading."""
    named: str
    """The dataset that was named first."""
    alarms: int

    @property
    def harmful(self) -> bool:
        """Whether it must not pass."""
        return self.ndcg is not None and (self.ndcg < 1 - _COST or (self.in_breach or 0) >= _COST)


@dataclass(frozen=True)
class Past:
    """A world up to its last week."""

    world: Path
    as_of: dt.date
    history: History
    weeks: Sequence[Week]
    clean: Week
    """The last week, without a fault."""
    healthy: int
    """Healthy weeks that were judged."""
    stopped: tuple[str, ...]
    """Healthy weeks that were stopped, and why."""


def world_of(seed: int, weeks: int) -> World:
    """Returns the parameters of a small world with so many weekly runs."""
    days = 7 * weeks + 35
    return World(users=4_000, sources=1_000, days=days, events=7_000 * days, seed=seed)


def past_of(spark: SparkSession, settings: Settings, folder: Path, world: World, weeks: int) -> Past:
    """Generates the world and makes its weekly runs."""
    generate(folder / "world", world)
    chain = Chain(spark, settings, Storage(str(folder / "partials")))
    history, made, stopped = History([]), list[Week](), list[str]()
    for number in range(weeks):
        as_of = world.as_of - (weeks - 1 - number) * _WEEK
        sketches = [one for week in made[-2:] for one in week.sketches]
        week = chain.week(folder / "world", as_of, made[-1] if made else None, sketches)
        stopped += [f"{as_of} {one.full_name}" for one in ranked(found(history, as_of, week)) if one.blocks][:1]
        history = history.with_measured(week.measured)
        made.append(week)
    before = History([to_table(one) for one in (week.measured for week in made[:-1])])
    return Past(folder / "world", world.as_of, before, made[:-1], made[-1], weeks, tuple(stopped))


def found(history: History, as_of: dt.date, week: Week) -> tuple[Finding, ...]:
    """Returns the findings of a week by the history before it."""
    new, read = with_served(week.read.new), with_served(week.read.days)
    case = Judged(as_of, new, read, false_alarms_per_year=1.0, runs_per_year=52.0)
    return judge(history.with_measured(week.measured), case, [one.key for one in week.measured])


def planted(
    spark: SparkSession, settings: Settings, worlds: Sequence[World], weeks: int, names: Sequence[str]
) -> Iterator[tuple[Past, list[Planted]]]:
    """Yields each world, and what became of every fault in it."""
    for world in worlds:
        with tempfile.TemporaryDirectory(prefix="drift-") as folder:
            start = time.monotonic()
            past = past_of(spark, settings, Path(folder), world, weeks)
            print(f"world {world.seed}: {weeks} weeks in {time.monotonic() - start:.0f} s", file=sys.stderr)
            yield past, [_planted(spark, settings, Path(folder), past, name, world.seed) for name in names]


def _planted(spark: SparkSession, settings: Settings, folder: Path, past: Past, name: str, seed: int) -> Planted:
    fault, out = CORRUPTIONS[name], folder / "faulty"
    plant(past.world, out, name, past.as_of, seed)
    chain = Chain(spark, settings, Storage(str(folder / "partials")))
    sketches = [one for week in past.weeks[-2:] for one in week.sketches]
    try:
        week = chain.week(out, past.as_of, past.weeks[-1] if past.weeks else None, sketches)
    except FeaturesError as error:
        what = f"{type(error).__name__}"
        return Planted(name, fault.kind, fault.datasets, seed, None, None, stopped=True, by=what, named="", alarms=0)
    finally:
        shutil.rmtree(out)
    truth = past.world / "_truth"
    clean = planted_ndcg(truth, past.clean.lists, past.clean.exclusions)
    alarms = [one for one in ranked(found(past.history, past.as_of, week)) if one.blocks]
    return Planted(
        name,
        fault.kind,
        fault.datasets,
        seed,
        planted_ndcg(truth, week.lists, past.clean.exclusions) / clean,
        breaches(week.lists, past.clean),
        stopped=bool(alarms),
        by=alarms[0].full_name if alarms else "",
        named=alarms[0].subject if alarms else "",
        alarms=len(alarms),
    )
