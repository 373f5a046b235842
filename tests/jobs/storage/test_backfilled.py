"""A run takes over what a backfill left, and nothing that is unfinished or that it has already."""

import datetime as dt
from pathlib import Path

import pytest

from jobs.storage.backfilled import Backfilled
from jobs.storage.store import Storage

DAYS = [dt.date(2026, 11, day) for day in (1, 2, 3, 4)]


def files(storage: Storage) -> dict[str, bytes]:
    return {path: storage.read_bytes(path) for path, _ in storage.tree("")}


@pytest.fixture
def home(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path))


@pytest.fixture
def left(home: Storage) -> Backfilled:
    """Four days of clicks, of which the third has no record."""
    made = Backfilled.of(home, "music")
    for day in DAYS:
        made.at.write_bytes(f"clicks/dt={day}/part-0.parquet", b"made")
        if day != DAYS[2]:
            made.at.write_bytes(f"clicks/dt={day}/_partial.json", b"{}")
    return made


def test_the_newest_days_that_runs_lack_are_taken_over_once(home: Storage, left: Backfilled) -> None:
    kept = home.child("partials/music")
    kept.write_bytes(f"clicks/dt={DAYS[3]}/part-1.parquet", b"of a run")
    left.leave(["clicks"], since=DAYS[1])
    assert left.take_over(kept, ["clicks", "joins"]) == 1
    assert files(kept) == {
        f"clicks/dt={DAYS[1]}/part-0.parquet": b"made",
        f"clicks/dt={DAYS[1]}/_partial.json": b"{}",
        f"clicks/dt={DAYS[3]}/part-1.parquet": b"of a run",
    }
    assert not left.at.exists("")
    assert left.take_over(kept, ["clicks"]) == 0


def test_of_a_backfill_that_goes_on_nothing_is_taken(home: Storage, left: Backfilled) -> None:
    assert left.take_over(home.child("partials/music"), ["clicks"]) == 0
    assert left.at.exists(f"clicks/dt={DAYS[0]}")
