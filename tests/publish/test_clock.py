"""The clock of a process: the machine's, unless it is of a simulation; then also Redis' and that of exposures."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from conf.simulated_clock import VARIABLE, SimulatedClock
from publish import clock as clock_module
from publish.clock import milliseconds_now, simulated_moment, utc_now
from publish.operate.control import Control
from publish.runs.history import read_history

MONDAY = dt.datetime(2031, 5, 5, 0, 20, 0, 250_000, tzinfo=dt.UTC)
"""Of another year than the machine's clock has."""


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    clock_module._simulated.cache_clear()
    yield
    clock_module._simulated.cache_clear()


@pytest.fixture
def simulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_url: str) -> SimulatedClock:
    clock = SimulatedClock(tmp_path / "clock.json")
    clock.set(MONDAY)
    variables = {"DISCOVERY_HOME": str(tmp_path), "REDIS_URL": redis_url, VARIABLE: str(clock.file)}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return clock


def test_without_a_simulation_it_is_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    before, now, after = dt.datetime.now(dt.UTC), utc_now(), dt.datetime.now(dt.UTC)
    assert before <= now <= after
    assert int(now.timestamp()) * 1_000 <= milliseconds_now()
    assert simulated_moment() == ""


def test_in_a_simulation_it_is_the_simulated_one(simulated: SimulatedClock, caplog: pytest.LogCaptureFixture) -> None:
    assert 0 <= milliseconds_now() - MONDAY.timestamp() * 1_000 < 3_600_000
    assert dt.timedelta(0) <= utc_now() - MONDAY < dt.timedelta(hours=1)
    simulated.set(MONDAY + dt.timedelta(days=7))
    assert utc_now() >= MONDAY + dt.timedelta(days=7)
    assert caplog.text.count("times are simulated") == 1


def test_the_pointer_and_its_history_have_simulated_times(simulated: SimulatedClock, clean_redis: redis.Redis) -> None:
    control = Control.connect(clean_redis, "groups", who="eva@desk")
    control.hold("first")
    simulated.set(MONDAY + dt.timedelta(days=7))
    pointer = control.unhold()
    since = [entry.pointer.since for entry in read_history(clean_redis, "groups", None).entries]
    assert since[-1] == pointer.since
    assert [moment.date() for moment in since if moment] == [dt.date(2031, 5, 5), dt.date(2031, 5, 12)]
