"""Planted worlds: intervals cover, their rival does not, and Spark counts what was planted."""

import datetime as dt

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession

from benchmarks.outcomes_planted import DAYS, PLACES, coverage, make_world, rows_of
from conf import contract
from conf.contract import USER_GROUPS
from conf.ids import partition_of
from conf.outcomes import OutcomeSettings
from models.outcomes.basis import Basis
from models.outcomes.figures import incremental_hits
from models.outcomes.marginals import outcomes_of
from models.outcomes.rows import answers_of, events_of

START = dt.datetime(2026, 11, 9, tzinfo=dt.UTC)
EVENTS = pa.schema(
    [
        ("user_id", pa.int64()),
        ("source_id", pa.int64()),
        ("event", pa.string()),
        ("ts", pa.timestamp("us", "UTC")),
        ("amount", pa.float64()),
    ]
)


def test_intervals_cover_what_was_planted_and_their_rival_does_not() -> None:
    for name, found in coverage(worlds=100, users=1500, seed=18).items():
        assert 0.90 <= found["covered"] <= 0.99, name
        assert found["rival's"] < 0.88, name
        assert abs(found["bias / s"]) < 0.3, name


def test_spark_counts_what_was_planted(spark: SparkSession) -> None:
    """Users ask at eight and find sources at noon, of which each list has the same ten all week."""
    world = make_world(np.random.default_rng(3), 300, effect=0.3)
    users = range(len(world.answers))
    asked, done = [], []
    for user in users:
        listed = [user * PLACES + place for place in range(PLACES)]
        for day in range(DAYS):
            morning = START + dt.timedelta(days=day, hours=8)
            arm = "treatment" if world.treated[user, day] else "shadow" if world.sampled[user] else "control"
            answer = {"user_id": user, "surface": "feed", "arm": arm, "run": "run", "source_ids": listed}
            asked += [{**answer, "ts": morning + dt.timedelta(minutes=i)} for i in range(world.answers[user, day])]
            noon = morning + dt.timedelta(hours=4)
            done += [
                {"user_id": user, "source_id": source, "event": "like", "ts": noon}
                for source, hit in zip(listed, world.hits[user, day], strict=True)
                if hit
            ]
    answers = answers_of(spark.createDataFrame(pa.Table.from_pylist(asked, contract.exposures("int64"))))
    events = events_of(spark.createDataFrame(pa.Table.from_pylist(done, EVENTS)), ["like"])
    days = [(START + dt.timedelta(days=day)).date() for day in range(DAYS)]
    found = outcomes_of(answers, events, [Basis.ANSWERED], days, OutcomeSettings()).toArrow().to_pylist()

    group = np.array([partition_of(user, USER_GROUPS) for user in users])
    sums = ("users", "answers", "hits", "group_users", "group_answers", "group_hits")
    planted = {(row["arm"], days[row["day"]]): [row[name] for name in sums] for row in rows_of(world, group)}
    counted = {
        (row["arm"], row["day"]): [row[name] for name in sums]
        for row in found
        if row["by"] == "all" and row["arm"] != "control"
    }
    assert counted == planted
    made = incremental_hits(found)
    assert made is not None
    assert made.difference.covers(made.difference.value)
    assert all(row["group_hits"] is None for row in found if row["by"] != "all")
