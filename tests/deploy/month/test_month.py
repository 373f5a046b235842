"""The month's own parts: a snapshot that is broken for one run only, and the planted effect over weeks."""

import datetime as dt
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from deploy.demo.life import Life
from deploy.demo.tastes import World
from deploy.demo.world import generate
from deploy.month.month import Lived, broken_subscriptions
from deploy.month.plot import BETTER, WEEKS, WORSE
from deploy.month.summary import planted_mean

MONDAY = dt.date(2026, 11, 2)


def test_subscriptions_are_broken_for_one_run_only(tmp_path: Path) -> None:
    generate(tmp_path / "data", World(users=100, sources=60, days=7, events=1_000, as_of=MONDAY))
    life = Life.of(tmp_path / "data")
    file = life.folder / "subscriptions/dt=2026-11-01/part-0.parquet"
    before, followed = file.read_bytes(), len(life.followed(MONDAY))
    with broken_subscriptions(life, MONDAY):
        assert 0 < pq.ParquetFile(file).metadata.num_rows < 0.3 * followed
    assert file.read_bytes() == before
    assert (file.parent / "_SUCCESS").exists()


def lived(number: int, share_bp: int, planted: float) -> Lived:
    return Lived(WEEKS[number - 1], "raise", True, {"share_bp": share_bp}, (), planted)


def test_weeks_weigh_as_in_the_effect() -> None:
    assert planted_mean([lived(1, 2_500, 0.1), lived(2, 5_000, 0.2)]) == pytest.approx(
        (0.1 * 0.1875 + 0.2 * 0.25) / 0.4375
    )
    assert planted_mean([lived(1, 2_500, 0.3), lived(2, 0, 7.0)]) == pytest.approx(0.3)
    assert planted_mean([]) == 0


def test_the_weeks_of_the_plot() -> None:
    assert [str(week.first_day) for week in WEEKS] == ["2026-11-02", "2026-11-09", "2026-11-16", "2026-11-23"]
    assert all(week.first_day.weekday() == 0 and len(week.days) == 7 for week in WEEKS)
    assert (BETTER.habits.effects["treatment"] > 1) > (WORSE.habits.effects["treatment"] > 1)
