"""The tables of a demo world and their files: events, the snapshots of an evening, one partition a day."""

import datetime as dt
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.random import Generator, default_rng

from deploy.demo.events import Happened
from deploy.demo.ranked import Ids, Indices
from deploy.demo.tastes import CATEGORIES, Population, World
from deploy.demo.volume import EVENTS

DAY_US = 86_400_000_000
"""Microseconds of a day."""
_UNKNOWN_CATEGORY = 0.02  # share of the sources without one
_UTC = pa.timestamp("us", tz="UTC")
_EPOCH = dt.date(1970, 1, 1)


def evening(population: Population, sources: pa.Table, subscriptions: Indices, day: int) -> dict[str, pa.Table]:
    """Returns the snapshots of the evening of the `day`-th day."""
    truth, blocks, users = population.truth, population.blocks, population.users_on(day)
    audience = {"user_id": truth.user_ids} | ({} if truth.countries is None else {"country": truth.countries})
    return {
        "subscriptions": pair_table(population, subscriptions),
        "blocks": pair_table(population, blocks.pairs[blocks.days <= day]),
        "sources": _sources_in_the_evening(sources, population, day),
        "audience": pa.table(audience).slice(0, users),
    }


def event_table(population: Population, happened: Happened, moments: Indices) -> pa.Table:
    """Returns one row per event, whose moments are ascending."""
    names = pa.array(EVENTS).take(happened.events)
    return pair_table(population, happened.pairs).append_column("event", names).append_column("ts", times(moments))


def draw_moments(date: dt.date, count: int, rng: Generator) -> Indices:
    """Draws (count,) ascending microseconds since 1970 on that day; most are in the evening (UTC)."""
    moments = np.sort(rng.beta(2.5, 1.5, count) * DAY_US).astype(np.int64)
    return np.asarray(np.minimum(moments, DAY_US - 1) + midnight(date))


def midnight(date: dt.date) -> int:
    """Returns the microseconds since 1970 at which a day begins."""
    return (date - _EPOCH).days * DAY_US


def _sources_in_the_evening(sources: pa.Table, population: Population, day: int) -> pa.Table:
    """Returns the sources created by the `day`-th day, with their status in its evening."""
    status = pa.array(["closed", "active"]).take((population.closed > day).astype(np.int64))
    return sources.set_column(1, "status", status).filter(pa.array(population.born <= day))


def source_table(world: World, population: Population) -> pa.Table:
    """Returns one row per source that ever lived, as it was at the end."""
    rng = default_rng([world.seed, 1 + world.days])
    truth, count = population.truth, population.sources
    created = population.born * DAY_US + midnight(world.first_day) + rng.integers(0, DAY_US, count)
    category = np.where(rng.random(count) < _UNKNOWN_CATEGORY, len(CATEGORIES), population.category)
    return pa.table(
        {
            "source_id": truth.source_ids,
            "status": pa.array(["closed", "active"]).take(truth.eligible.astype(np.int64)),
            "category": pa.array([*CATEGORIES, None]).take(category),
            "owner_id": truth.user_ids.take(population.owner),
            "created_at": times(created),
        }
    )


def pair_table(population: Population, pairs: Indices) -> pa.Table:
    """Returns the ids of pairs (user position · S + source position)."""
    users, sources = np.divmod(pairs, population.sources)
    truth = population.truth
    return pa.table({"user_id": truth.user_ids.take(users), "source_id": truth.source_ids.take(sources)})


def times(microseconds: Indices) -> Ids:
    """Returns microseconds since 1970 as timestamps."""
    return pa.array(microseconds).cast(_UTC)


def write_partition(dataset: Path, day: dt.date, table: pa.Table) -> None:
    """Writes a day of a dataset in place of what was there, its marker last."""
    folder = dataset / f"dt={day}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    pq.write_table(table, folder / "part-0.parquet")
    (folder / "_SUCCESS").touch()
