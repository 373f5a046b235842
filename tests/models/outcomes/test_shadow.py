"""Hits on lists that nobody got: a world of its own, against the rules in plain Python."""

import datetime as dt
import random
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from conf.ids import arm_of
from conf.shadow import ShadowSample
from conf.share import Share
from models.outcomes.basis import Basis
from models.outcomes.rows import Served, answers_of
from models.outcomes.shadow import ShadowLists, lengths_of, shadow_answers, without_worlds, world_of
from tests.models.outcomes.brute import Asked, Did, brute
from tests.models.outcomes.test_outcomes import (
    CATEGORIES,
    DAYS,
    ENGAGING,
    SETTINGS,
    START,
    exposures,
    measured,
    moment,
    one_at_a_time,
    plain,
    rounded,
)

SALT = "salt"
PROMOTED, STOPPED = START + dt.timedelta(days=1.5), START + dt.timedelta(days=4)
SERVED = [
    Served(START - dt.timedelta(days=9), PROMOTED, "a", None, SALT, 2_000),
    Served(PROMOTED, STOPPED, "b", "pinned", SALT, 5_000),
    Served(STOPPED, None, "b", "pinned", SALT, 0),  # the kill switch
]
SAMPLES = {
    run: ShadowSample(covered_bp=Share(bp), salt=SALT, share_bp=Share(6_000))
    for run, bp in (("a", 2_000), ("b", 5_000))
}
USERS = range(1, 41)
PLACES = {"home": 3, "mail": 2}
"""Sources that the app asks for, of four."""
FALLBACK = [6, 5, 1, 2]


def list_of(user: int, run: str) -> list[int]:
    """What `run` has for a user, with a list or a shadow list."""
    return FALLBACK if user % 7 == 0 else random.Random(f"{user} {run}").sample([1, 2, 3, 4, 5, 6], 4)


def served_at(at: dt.datetime) -> Served:
    return next(one for one in reversed(SERVED) if one.since <= at)


def world(number: int) -> tuple[list[Asked], list[Did]]:
    """Users who ask in both arms, and do something with sources that they may have been answered."""
    chance = random.Random(number)
    asked, done = [], []
    for _ in range(500):
        user, at, surface = chance.choice(USERS), moment(chance, 5), chance.choice([*PLACES])
        then = served_at(at)
        treated = arm_of(user, SALT) < then.share_bp
        run = then.treatment if treated else then.control
        held = list_of(user, str(run))[: PLACES[surface]] if run else []
        arm = "treatment" if treated else "control"
        asked.append(Asked(user, at, run, arm, surface, {source: i + 1 for i, source in enumerate(held)}))
    for _ in range(700):
        done.append(
            Did(chance.choice(USERS), moment(chance, 8), chance.randint(1, 7), chance.choice(["click", "watch"]), None)
        )
    return one_at_a_time(asked), done


def as_if(asked: Asked) -> Asked:
    """The answer, had a user of the sample got the lists of the treatment."""
    then = served_at(asked.at)
    is_sampled = then.treatment is not None and then.share_bp and SAMPLES[then.treatment].holds(asked.user)
    if asked.arm != "control" or not is_sampled:
        return asked
    held = list_of(asked.user, str(then.treatment))[: PLACES[asked.surface]]
    places = {source: i + 1 for i, source in enumerate(held)}
    return asked._replace(run=then.treatment, arm="shadow", places=places)


@pytest.fixture(scope="module")
def shadows(spark: SparkSession) -> dict[str, ShadowLists]:
    """Lists of the sample; a seventh of the users have none of their own."""
    found = {}
    for run, sample in SAMPLES.items():
        rows = [
            {"user_id": user, "source_ids": list_of(user, run)} for user in USERS if sample.holds(user) and user % 7
        ]
        schema = pa.schema([("user_id", pa.int64()), ("source_ids", pa.list_(pa.int64()))])
        found[run] = ShadowLists(sample, spark.createDataFrame(pa.Table.from_pylist(rows, schema)), FALLBACK)
    return found


def test_hits_on_them_are_counted_beside_those_of_the_control(
    spark: SparkSession, shadows: dict[str, ShadowLists]
) -> None:
    asked, done = world(1)
    real = exposures(spark, asked)
    lengths = lengths_of(real)
    assert {key: places for key, places in lengths.items() if key[0] != "pinned"} == {
        (run, surface): places for run in ("a", "b") for surface, places in PLACES.items()
    }
    answers = answers_of(real).unionByName(shadow_answers(real, SERVED, shadows, lengths))
    rows = measured(spark, answers, done, SETTINGS[0], [Basis.ANSWERED, world_of(Basis.ANSWERED)])
    found = rounded(plain(without_worlds(rows), SETTINGS[0]))

    wanted = brute(asked, done, DAYS, SETTINGS[0], ENGAGING, CATEGORIES)
    instead = brute([as_if(one) for one in asked], done, DAYS, SETTINGS[0], ENGAGING, CATEGORIES)
    only_shadow = {key: row for key, row in instead.items() if key[2] == "shadow"}
    assert {key[1] for key in only_shadow} == {"a", "b"}
    assert sum(row.get("hits", 0) for key, row in only_shadow.items() if key[3] == "all") > 20
    assert found == rounded({**wanted, **only_shadow})


def test_a_basis_without_shadow_lists_is_as_it_was() -> None:
    row: dict[str, Any] = {"basis": "shown", "arm": "control", "by": "all"}
    beside = {"basis": world_of(Basis.ANSWERED), "arm": "treatment", "by": "all"}
    assert without_worlds([row, beside]) == [row]
