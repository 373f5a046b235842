"""The drift history: what runs measured is read together, alarms and decisions are remembered, damage is named."""

import datetime as dt
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from expectations.drift.findings import Accepted, Alarm, Excluded
from expectations.drift.history import Measured, to_table
from jobs.storage.drift import DamagedHistory, DriftStore
from jobs.storage.store import Storage

DAY = dt.date(2026, 11, 9)
NOW = dt.datetime(2026, 11, 16, 3, tzinfo=dt.UTC)
KEY = ("events", "clicks", "events")


def store(folder: Path) -> DriftStore:
    return DriftStore.of(Storage(str(folder)), "product")


def measured(value: float, day: dt.date = DAY) -> Measured:
    return Measured("events", "clicks", "events", day, value, value, "fingerprint")


def alarm(runs: int = 1) -> Alarm:
    shown = {"value": 5.0, "expected": 10.0, "low": 8.0, "high": 12.0, "shift": -0.7, "p": 1e-6}
    return Alarm(
        kind="events", subject="clicks", name="events", days=(DAY,), made_of=("f",), run="r1", runs=runs, **shown
    )


def test_of_a_number_that_several_runs_measured_the_last_counts(tmp_path: Path) -> None:
    kept = store(tmp_path)
    kept.keep("20261109.a", [measured(1.0), measured(2.0, DAY + dt.timedelta(days=1))])
    kept.keep("20261116.a", [measured(3.0)])
    assert kept.history().series(KEY).values.tolist() == [3.0, 2.0]
    assert kept.history(without="20261116").series(KEY).values.tolist() == [1.0, 2.0]
    kept.keep("20261116.a", [measured(4.0)])  # a repeated run replaces its own
    assert kept.history().series(KEY).values.tolist() == [4.0, 2.0]


def test_each_arm_of_an_experiment_has_its_own_past(tmp_path: Path) -> None:
    kept = store(tmp_path)
    keys = [f"202611{day:02d}T030000Z-202611{day:02d}-1" for day in (2, 9, 16)]
    for number, key in enumerate((keys[0], keys[1], f"{keys[1]}-control", keys[2], f"{keys[2]}-control")):
        kept.keep(f"{key}.input_drift", [measured(float(number), DAY + dt.timedelta(days=number))])
    treatment, control = kept.of_arm(None), kept.of_arm(dt.datetime(2026, 11, 8, tzinfo=dt.UTC))
    assert treatment.history().series(KEY).values.tolist() == [0.0, 1.0, 3.0]
    assert control.history().series(KEY).values.tolist() == [0.0, 2.0, 4.0]
    assert treatment.history(without=keys[2]).series(KEY).values.tolist() == [0.0, 1.0]
    assert control.history(without=f"{keys[2]}-control").series(KEY).values.tolist() == [0.0, 2.0]


def test_notes_are_kept_and_numbers_of_older_code_have_none(tmp_path: Path) -> None:
    kept, older = store(tmp_path), io.BytesIO()
    pq.write_table(to_table([measured(1.0)]).drop_columns(["note"]), older)
    kept.at.write_bytes("measured/20261109.a.parquet", older.getvalue())
    assert (kept.history().series(KEY).values.tolist(), kept.history().note(KEY, DAY)) == ([1.0], "")
    kept.keep("20261116.a", [replace(measured(3.0), note="PL")])
    assert kept.history().note(KEY, DAY) == "PL"


def test_without_runs_there_is_no_history(tmp_path: Path) -> None:
    assert store(tmp_path).history().keys == []
    assert store(tmp_path).alarms() == ()
    assert store(tmp_path).decisions().excluded == ()


def test_a_year_of_runs_takes_little_room(tmp_path: Path) -> None:
    names = [f"statistic {number}" for number in range(120)]
    rows = [
        Measured("events", "clicks", name, DAY + dt.timedelta(days=day), day / 7, 1e4, "f" * 32)
        for name in names
        for day in range(7)
    ]
    assert store(tmp_path).keep("20261116.a", rows) <= 200_000


def test_of_an_alarm_the_newest_is_remembered(tmp_path: Path) -> None:
    kept = store(tmp_path)
    kept.keep_alarms("20261109.a", [alarm()])
    kept.keep_alarms("20261116.a", [alarm(runs=2)])
    assert [one.runs for one in kept.alarms()] == [2]
    assert [one.runs for one in kept.alarms(without="20261116")] == [1]


def test_decisions_hold_until_they_are_taken_back(tmp_path: Path) -> None:
    kept = store(tmp_path)
    excluded = Excluded(dataset="clicks", day=DAY, reason="half", by="anna", at=NOW)
    accepted = Accepted(name="clicks.events", days=(DAY,), shift=0.3, reason="app 7", by="anna", at=NOW)
    kept.decide(excluded)
    kept.decide(accepted)
    assert kept.decisions().excluded == (excluded,)
    kept.decide(excluded, undone=True)
    assert kept.decisions().excluded == ()
    assert kept.decisions().accepted == (accepted,)


@pytest.mark.parametrize(
    ("file", "read"),
    [
        ("measured/20261116.a.parquet", DriftStore.history),
        ("alarms/20261116.a.json", DriftStore.alarms),
        ("decisions/2026.json", DriftStore.decisions),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, file: str, read: Callable[[DriftStore], object]) -> None:
    kept = store(tmp_path)
    kept.at.write_bytes(file, b"{ half")
    with pytest.raises(DamagedHistory, match=file):
        read(kept)
