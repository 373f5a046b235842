"""Judges 100,000 users by all metrics as the train stage does: rows of judged users to Parquet, then every figure.

The lists are drawn beforehand: ranking them is another cost. Ours, item-kNN and the popularity list are judged, with
intervals of 200 bootstrap replicates, per segment, with paired differences.
"""

import datetime as dt
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from benchmarks.training.plan import Plan
from benchmarks.training.row import Row, within
from conf import contract
from conf.settings import JudgeSettings, SparkSettings
from models.arrays.arrow import column_of, list_column
from models.judge import (
    ITEM_KNN,
    OURS,
    POPULARITY_SIZE,
    JudgeInputs,
    Judgement,
    KnownSources,
    gather_judged,
    judge,
    judge_users,
)
from models.lists.fallback import fallback_list

_GOAL = 10.0
_HISTORY, _TRUTH, _LISTED, _K = 30, 6, 50, 20
"""Sources drawn per user for history and truth (duplicates are dropped), length of a list, and k."""
_FILES = 4
_CUT = dt.datetime(2026, 11, 14, tzinfo=dt.UTC)


def measure(plan: Plan) -> list[Row]:
    """Returns the seconds of judging, after a warm-up with all users that is not timed."""
    users, sources = (1_000, 500) if plan.quick else (100_000, 50_000)
    world = _World.draw(plan, users, sources)
    _judge(plan, world, "first")
    seconds = []
    for number in range(plan.rounds):
        start = time.perf_counter()
        judgement = _judge(plan, world, f"round{number}")
        seconds.append(time.perf_counter() - start)
    return [within(f"judging {judgement.users():,} users, {len(judgement.flat())} figures", "s", seconds, _GOAL)]


@dataclass(frozen=True, eq=False)
class _World:
    arms: dict[str, DataFrame]
    evidence: JudgeInputs
    eligible: int

    @classmethod
    def draw(cls, plan: Plan, users: int, sources: int) -> "_World":
        random = np.random.default_rng(1)
        table = partial(_table, plan)
        user, source = _pairs(random, users, sources, _HISTORY)
        known = _sources(random, np.bincount(source, minlength=sources))
        seen = [user, source, np.full(len(user), "seen")]
        times = pa.array(
            [_CUT - dt.timedelta(days=1)] * len(user), contract.interactions("int64").field("last_ts").type
        )
        folder = plan.new_folder("known")
        new_from = (_CUT - dt.timedelta(days=7)).date()
        KnownSources.build(known, users, new_from, "int64").save(folder)
        truth = _pairs(random, users, sources, _TRUTH)
        served = users - users // 20  # the rest have no list of their own
        listed = [_lists(random, served, known["source_id"].to_numpy()) for _ in (OURS, ITEM_KNN)]
        return cls(
            {name: table(f"lists_{name}", lists) for name, lists in zip((OURS, ITEM_KNN), listed, strict=True)},
            JudgeInputs(
                users=gather_judged(
                    table("truth", _of(contract.holdout("int64"), [*truth, np.ones(len(truth[0]))])),
                    table(
                        "judged_interactions",
                        _of(contract.interactions("int64"), [user, source, np.ones(len(user)), times]),
                    ),
                    table("exclusions", _of(contract.exclusions("int64"), seen)),
                    SparkSettings().shuffle_partitions,
                ),
                popular=fallback_list(known, POPULARITY_SIZE),
                known=partial(str, folder),
                ids="int64",
            ),
            len(known),
        )


def _judge(plan: Plan, world: _World, name: str) -> Judgement:
    settings, out = JudgeSettings(), str(plan.folder / f"judged_{name}")
    judge_users(world.arms, world.evidence, _K, settings).write.parquet(out)
    return judge(plan.spark().read.parquet(out), k=_K, eligible=world.eligible, settings=settings)


def _popular(random: np.random.Generator, count: int, sources: int) -> NDArray[np.int64]:
    """Draws sources; the first ones come far more often than the last."""
    return (sources * random.random(count) ** 3).astype(np.int64)


def _pairs(
    random: np.random.Generator, users: int, sources: int, each: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    drawn = np.repeat(np.arange(users), each) * sources + _popular(random, users * each, sources)
    user, source = np.divmod(np.unique(drawn), sources)
    return user, source


def _sources(random: np.random.Generator, counts: NDArray[np.int64]) -> pa.Table:
    """Returns contract.train_sources for the sources that users have."""
    schema, ids = contract.train_sources("int64"), np.flatnonzero(counts)
    since = [_CUT - dt.timedelta(days=int(days)) for days in random.integers(1, 15, len(ids))]
    columns: dict[str, Any] = {
        "source_id": ids,
        "eligible": np.ones(len(ids), bool),
        "users": counts[ids],
        "weight": counts[ids].astype(float),
        "since": since,
    }
    return pa.table({field.name: columns.get(field.name, pa.nulls(len(ids), field.type)) for field in schema}, schema)


def _lists(random: np.random.Generator, users: int, known: NDArray[np.int64]) -> pa.Table:
    """Returns contract.lists with distinct sources for each user."""
    offsets = np.argsort(random.random((users, 4 * _LISTED)), axis=1)[:, :_LISTED]
    ids = known[(offsets + _popular(random, users, len(known))[:, None]) % len(known)]
    lengths, scores = np.full(users, _LISTED), column_of(np.ones(ids.size, np.float32))
    columns = [np.arange(users), list_column(lengths, column_of(ids.ravel())), list_column(lengths, scores)]
    return _of(contract.lists("int64"), [*columns, np.ones(users, bool)])


def _of(schema: pa.Schema, columns: Sequence[Any]) -> pa.Table:
    return pa.Table.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )


def _table(plan: Plan, name: str, table: pa.Table) -> DataFrame:
    folder = plan.new_folder(name)
    for place in range(_FILES):
        start, stop = (len(table) * edge // _FILES for edge in (place, place + 1))
        pq.write_table(table.slice(start, stop - start), folder / f"part-{place}.parquet")
    return plan.spark().read.parquet(str(folder))
