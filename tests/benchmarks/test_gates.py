"""The benchmark of the first gate on small worlds: it measures what the gate sees, and losses are planted as told."""

import dataclasses
import datetime as dt
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.random import default_rng

from benchmarks.gates.__main__ import main
from benchmarks.gates.demo import demo_past
from benchmarks.gates.losses import NewestWeek, event_losses, snapshot_losses
from benchmarks.gates.past import Events, Past, date_of
from benchmarks.gates.real import real_past
from benchmarks.gates.verdicts import holds
from benchmarks.gates.walk import healthy, planted, walk
from conf.gates import GateSettings
from deploy.demo.tastes import World
from expectations.checks import Between
from expectations.suite import validate

SMALL = World(users=600, sources=300, days=42, events=84_000, as_of=dt.date(2026, 11, 16))


@pytest.fixture(scope="module")
def small() -> Past:
    return demo_past(SMALL)


def test_a_small_world_is_healthy_and_its_losses_are_seen(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "demo", "--worlds", "1", "--weeks", "1", "--json"], SMALL) == 0
    *table, said = capsys.readouterr().out.splitlines()
    found = json.loads(said)
    assert [(row["name"], row["weeks"], row["inputs"], row["added"]) for row in found["healthy"]] == [
        ("demo", 1, [], [])
    ]
    seen = {(row["kind"], row["share"]): row["inputs"] for row in found["planted"]}
    for kind in ("events of users lost", "events lost"):
        assert {seen[f"{kind} · {name}", 0.5] for name in ("reactions", "clicks", "every dataset")} == {1.0}
    assert seen["rows lost · subscriptions", 0.9] == seen["rows lost · audience", 0.5] == 1.0
    assert seen["active called closed · sources", 0.9] == 1.0
    assert any(line.startswith("demo · rows lost · subscriptions") and "0% → 100%" in line for line in table)


def test_a_week_is_measured_as_its_events_are(small: Past) -> None:
    run = small.runs[-1]
    newest, snapshots = small.newest(run), small.snapshots(run)
    clicks = small.inputs(run, newest, snapshots).events["clicks"]
    assert (clicks.start, clicks.end) == (date_of(run - 9), date_of(run))
    assert [day.day for day in clicks.days] == [date_of(day) for day in range(small.runs[0] - 11, run)]
    last = small.events["clicks"].between(run - 1, run)
    assert (clicks.days[-1].events, clicks.days[-1].users) == (len(last.day), len(np.unique(last.user)))
    interactions = small.interactions(run, newest)
    parts = [events.between(run - small.windows[name], run) for name, events in small.events.items()]
    assert interactions.users <= len(np.unique(np.concatenate([part.user for part in parts])))
    assert interactions.rows == sum(interactions.histogram)


def test_losses_are_planted_as_told(small: Past) -> None:
    run = small.runs[-1]
    week = NewestWeek(small.newest(run), small.snapshots(run))
    rng = default_rng(1)
    plants = event_losses(tuple(small.events)) | snapshot_losses()

    def left(kind: str, name: str, share: float = 0.5) -> float:
        changed = plants[kind](week, share, rng).newest[name]
        return len(changed.day) / len(week.newest[name].day)

    assert left("events lost · clicks", "clicks") == pytest.approx(0.5, abs=0.05)
    assert left("events of users lost · clicks", "clicks") == pytest.approx(0.5, abs=0.1)
    assert left("events twice · clicks", "clicks", 1.0) == 2.0
    assert left("events lost · clicks", "joins") == 1.0
    assert left("events lost · every dataset", "joins", 1.0) == 0.0
    opened = plants["closed called active · sources"](week, 1.0, rng).snapshots["sources"].profile(date_of(run))
    assert opened.eligible == opened.rows
    closed = plants["active called closed · sources"](week, 1.0, rng).snapshots["sources"].profile(date_of(run))
    assert (closed.eligible, closed.rows) == (0, opened.rows)
    for name in ("subscriptions", "blocks", "audience", "sources"):
        before = week.snapshots[name].profile(date_of(run)).rows
        lost = plants[f"rows lost · {name}"](week, 0.9, rng).snapshots[name].profile(date_of(run)).rows
        assert lost / before == pytest.approx(0.1, abs=0.12)
    users = plants["users lost · subscriptions"](week, 1.0, rng).snapshots["subscriptions"].profile(date_of(run))
    assert (users.rows, users.users) == (0, 0)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Ten weeks in which forty users buy on weekdays what they return at times."""
    rng = default_rng(3)
    day = np.repeat(np.arange(70), 60)
    day = day[day % 7 < 5]  # 2011-01-03 is a Monday
    at = np.datetime64("2011-01-03", "s") + (day * 86_400 + rng.integers(0, 86_400, len(day))).astype("timedelta64[s]")
    table = pa.table(
        {
            "user_id": pa.array(np.char.add("u", rng.integers(0, 40, len(day)).astype(str))),
            "item_id": pa.array(np.char.add("s", rng.integers(0, 30, len(day)).astype(str))),
            "event": pa.array(np.where(rng.random(len(day)) < 0.1, "return", "purchase")),
            "ts": pa.array(at),
            "weight": pa.array(np.ones(len(day))),
        }
    )
    pq.write_table(table, tmp_path / "online_retail.parquet")
    return tmp_path


def test_real_data_run_on_mondays_with_snapshots_once_eight_weeks_are_known(data: Path) -> None:
    past = real_past("online_retail", data)
    days = [date_of(run) for run in past.runs]
    assert days[0] == dt.date(2011, 1, 17)
    assert {day.weekday() for day in days} == {0}
    assert real_past("online_retail", data, weekday=3).runs[0] == past.runs[0] + 3
    known = [run for run in past.runs if past.snapshots(run)]
    assert date_of(known[0]) == dt.date(2011, 2, 28)
    snapshots = past.snapshots(known[0])
    assert snapshots["audience"].profile(days[0]).users == 40
    plants = {"lost": event_losses(["events"])["events lost · events"]}
    assert planted(past, list(walk(past)), plants, [0.6], default_rng(1)) == [], "fewer rows than the product asks for"
    past = dataclasses.replace(past, gates=GateSettings())
    runs = list(walk(past))
    assert healthy(past.name, runs).added == ()
    (row,) = planted(past, runs, plants, [0.6], default_rng(1))
    assert row.inputs == 1.0


def test_data_that_are_not_there_are_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "deck_cards", "--data", str(tmp_path)]) == 1
    assert "deck_cards.parquet is missing" in capsys.readouterr().err


def test_a_check_holds_as_great_expectations_says() -> None:
    checks = [
        Between(f"c{number}", value, low=low, high=high)
        for number, (value, low, high) in enumerate(
            [
                (0.4, None, 0.4),
                (0.41, None, 0.4),
                (None, None, 0.4),
                (3.0, 3, None),
                (2.9, 3, None),
                (float("inf"), None, 9),
            ]
        )
    ]
    verdicts = validate(checks)
    assert [holds(check) for check in checks] == [verdicts[check.name].passed for check in checks]


def test_days_without_events_are_not_there() -> None:
    day = np.array([3, 3, 5])
    events = Events(day, np.array([1, 1, 2]), np.array([0, 1, 0]), np.ones(3))
    assert {number: (one.events, one.users) for number, one in events.daily.items()} == {3: (2, 1), 5: (1, 1)}
