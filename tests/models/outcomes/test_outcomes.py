"""What users did with their lists: against the rules in plain Python, and their properties."""

import datetime as dt
import random
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from conf import contract
from conf.ids import arm_of
from conf.outcomes import OutcomeSettings
from features.reading.erasures import without_users
from models.outcomes.basis import Basis
from models.outcomes.marginals import outcomes_of
from models.outcomes.rows import Served, answers_of, answers_shown, events_of
from models.outcomes.sums import LEFT_OUT, SWAP
from tests.models.outcomes.brute import Asked, Did, brute

START = dt.datetime(2026, 11, 9, tzinfo=dt.UTC)
ENGAGING, NAMES = ("click", "like"), ("click", "like", "leave", "watch")
CATEGORIES = {1: "a", 2: "a", 3: "b", 4: None, 5: "b"}
DAYS = [(START + dt.timedelta(days=i)).date() for i in range(3)]
_INT, _TEXT, _TIME = pa.int64(), pa.string(), pa.timestamp("us", "UTC")
EVENTS = pa.schema([("user_id", _INT), ("source_id", _INT), ("event", _TEXT), ("ts", _TIME), ("amount", pa.float64())])
SETTINGS = [
    OutcomeSettings.model_validate({"horizon_days": horizon, "new_days": new, "at": at, "robots": robots})
    for horizon, new, at, robots in [
        (2, 3, (1, 3), {"max_events_per_day": 8}),
        (7, 28, (1, 5, 10), {"max_events_per_day": None}),
    ]
]


def moment(chance: random.Random, days: float) -> dt.datetime:
    """A time from START on; often midnight, and often the same one, since ties are where rules differ."""
    minutes = chance.choice([0, 720, 1440, 2880, chance.randrange(int(days * 1440))])
    return START + dt.timedelta(minutes=min(minutes, int(days * 1440) - 1))


def world(number: int) -> tuple[list[Asked], list[Did]]:
    """A week of few users and sources, two arms, and changes: promotions in mid-week, roll-backs, other shares.

    Share 0 is a kill switch, no run what it leaves; neighbours that are alike are a hold.
    """
    chance = random.Random(number)
    users = [1000 * number + i for i in range(chance.randint(1, 6))]
    changes = sorted(chance.random() * 5 for _ in range(chance.randint(0, 3)))
    runs = [chance.choice(["a", "b", "a", None]) for _ in range(4)]
    shares = [chance.choice([0, 5_000, 8_000, 10_000]) for _ in range(4)]
    asked = []
    for _ in range(chance.randint(0, 90)):
        user, at = chance.choice(users), moment(chance, 5)
        then = sum((at - START).total_seconds() / 86_400 >= change for change in changes)
        treated = arm_of(user, "salt") < shares[then]
        run = runs[then] if treated else chance.choice([None, "pinned"])
        sources = chance.sample([1, 2, 3, 4, 5, 6], chance.randint(0, 6)) if run else []
        arm, surface = f"{number}.{'treatment' if treated else 'control'}", chance.choice(["home", "mail"])
        asked.append(Asked(user, at, run, arm, surface, {source: i + 1 for i, source in enumerate(sources)}))
    done = [
        Did(user, at - chance.choice([0, 0, 3]) * dt.timedelta(days=1), source, event, amount)
        for _ in range(chance.randint(0, 90))
        for user, at, source in [(chance.choice(users), moment(chance, 8), chance.randint(1, 7))]
        for event, amount in [chance.choice([("click", None), ("like", None), ("leave", None), ("watch", 0.1)])]
    ]
    return asked, done + chance.sample(done, len(done) // 10)  # some are delivered twice


def one_at_a_time(asked: Sequence[Asked]) -> list[Asked]:
    """Leaves out second answers to a user at one instant: the order of such is as good as any, and not by the rules."""
    return list({(one.user, one.at): one for one in asked}.values())


def exposures(spark: SparkSession, asked: Sequence[Asked]) -> Any:
    """Answers as landed exposures."""
    names = ("user_id", "ts", "run", "arm", "surface")
    rows = [{**dict(zip(names, one[:5], strict=True)), "source_ids": list(one.places)} for one in asked]
    return spark.createDataFrame(pa.Table.from_pylist(rows, contract.exposures("int64")))


def done_rows(spark: SparkSession, done: Sequence[Did]) -> Any:
    """Events as they are read."""
    rows = [
        {"user_id": did.user, "source_id": did.source, "event": did.event, "ts": did.at, "amount": did.amount}
        for did in done
    ]
    return events_of(spark.createDataFrame(pa.Table.from_pylist(rows, EVENTS)), ENGAGING)


def measured(
    spark: SparkSession, answers: Any, done: Sequence[Did], settings: OutcomeSettings, bases: Sequence[Basis]
) -> list[dict[str, Any]]:
    """The rows of the result."""
    known = pa.table({"source_id": list(CATEGORIES), "category": pa.array(CATEGORIES.values(), pa.string())})
    return outcomes_of(
        answers, done_rows(spark, done), bases, DAYS, settings, spark.createDataFrame(known)
    ).toArrow().to_pylist()  # fmt: skip


def plain(rows: Sequence[dict[str, Any]], settings: OutcomeSettings) -> dict[tuple[Any, ...], dict[str, Any]]:
    """The result in the form of `brute`."""
    found = {}
    for row in ({**row} for row in rows if row["by"] not in (LEFT_OUT, SWAP)):
        key = tuple(row.pop(name) for name in ("day", "run", "arm", "by", "value"))
        assert key not in found
        for name in ("users", "answers", "hits"):
            groups = row.pop(f"group_{name}")
            assert (groups is None) if key[3] != "all" else sum(groups) == row[name]
        at, classes = row.pop("hits_at") or [], row.pop("first_hits") or []
        row |= {f"at_{k}": hits for k, hits in zip(settings.at, at, strict=False)}
        row |= {f"class_{i}": users for i, users in enumerate(classes)}
        found[key] = {name: value for name, value in row.items() if value and name != "basis"}
    return found


def rounded(rows: dict[tuple[Any, ...], dict[str, Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Amounts are summed in another order by `brute`."""
    return {key: {name: round(value, 9) for name, value in row.items()} for key, row in rows.items()}


def worlds(group: int) -> tuple[list[Asked], list[Did]]:
    """25 worlds side by side, 50 in all groups: their users and arms differ."""
    some = [world(number) for number in range(1 + group, 51, len(SETTINGS))]
    asked = one_at_a_time([one for answers, _ in some for one in answers])
    return asked, [did for _, events in some for did in events]


def is_forgotten(user: int) -> bool:
    """Whether a user was forgotten after all of it."""
    return user % 5 == 4


def remembered(rows: Sequence[Any]) -> list[Any]:
    """What is left of answers or events."""
    return [one for one in rows if not is_forgotten(one.user)]


@pytest.fixture(scope="module")
def results(spark: SparkSession) -> list[list[dict[str, Any]]]:
    """The result of each group."""
    found = []
    for settings, (asked, done) in zip(SETTINGS, map(worlds, range(len(SETTINGS))), strict=True):
        forgotten = {one.user for one in [*asked, *done] if is_forgotten(one.user)}
        kept = without_users(exposures(spark, asked), forgotten)
        found.append(measured(spark, answers_of(kept), remembered(done), settings, [Basis.ANSWERED]))
    return found


@pytest.mark.parametrize("group", range(len(SETTINGS)))
def test_no_row_differs_from_the_rules_in_plain_python(results: Any, group: int) -> None:
    asked, done = map(remembered, worlds(group))
    wanted = rounded(brute(asked, done, DAYS, SETTINGS[group], ENGAGING, CATEGORIES))
    assert sum(row.get("hits", 0) for row in wanted.values()) > 400
    assert rounded(plain(results[group], SETTINGS[group])) == wanted


def test_two_bases_in_one_pass_robots_and_the_arms_of_impressions(spark: SparkSession) -> None:
    """One pass counts what was answered and what was shown; a robot's day is left out of both and counted."""
    settings = SETTINGS[0]
    at = START + dt.timedelta(hours=10)
    later = at + dt.timedelta(hours=1)
    asked = [Asked(user, at, "a", "treatment", "home", {1: 1, 2: 2}) for user in (1, 2)]
    done = [Did(1, later, 2, "click", None), *(Did(2, later, 1, "click", None) for _ in range(9))]
    shown = [
        {"user_id": 1, "source_id": 2, "ts": at, "position": None, "run": "a", "surface": "home"},
        {"user_id": 2, "source_id": 2, "ts": at, "position": 2, "run": "a", "surface": "home"},
    ]
    impressions = spark.createDataFrame(pa.Table.from_pylist(shown, contract.impressions("int64")))
    served = [
        Served(START, at, "old", None, "s", 10_000),
        Served(at, later, "a", None, "s", 0),
    ]
    answers = answers_of(exposures(spark, asked)).unionByName(answers_shown(impressions, served))
    rows = measured(spark, answers, done, settings, [Basis.ANSWERED, Basis.SHOWN])
    whole = {row["basis"]: row for row in rows if row["by"] == "all"}
    assert {basis: (row["arm"], row["users"], row["answers"], row["hits"]) for basis, row in whole.items()} == {
        "answered": ("treatment", 1, 1, 1),
        "shown": ("control", 1, 1, 1),
    }
    assert (whole["answered"]["hits_at"], whole["shown"]["hits_at"]) == ([0, 1], None), "its position is not known"
    unknown = next(row for row in rows if row["by"] == "position" and row["basis"] == "shown")
    assert (unknown["value"], unknown["answers"], unknown["hits"]) == (None, 1, 1)
    robots = {row["basis"]: (row["users"], row["answers"], row["events"]) for row in rows if row["by"] == LEFT_OUT}
    assert robots == {"answered": (1, 1, 9), "shown": (1, 1, 9)}


def test_the_order_of_rows_decides_nothing_and_days_may_be_measured_alone(spark: SparkSession, results: Any) -> None:
    """The same rows in another order, and one day without the others, lead to the same figures, to the last bit."""
    (asked, done), chance = map(remembered, worlds(1)), random.Random(1)
    chance.shuffle(asked)
    chance.shuffle(done)
    rows = exposures(spark, asked), done_rows(spark, done)
    alone = outcomes_of(answers_of(rows[0]), rows[1], [Basis.ANSWERED], DAYS[:1], SETTINGS[1]).toArrow().to_pylist()
    wanted = [row for row in results[1] if row["day"] == DAYS[0] and row["by"] != "category"]
    assert sorted(map(repr, alone)) == sorted(map(repr, wanted))


def test_what_is_counted_is_part_of_what_it_is_counted_among(results: Any) -> None:
    for row in (row for rows in results for row in rows if row["by"] == "all"):
        assert row["hits_at"] == sorted(row["hits_at"])
        assert row["hits_at"][-1] <= row["hits"] <= row["places"]
        assert sum(row["first_hits"]) == row["users_hit"] <= row["users"] <= row["answers"]
        assert row["new_listed"] <= row["new"] <= row["events"]
        assert row["new_listed"] <= row["events_listed"] <= row["events"]
