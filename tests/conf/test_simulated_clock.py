"""A clock that only a simulation can have, and that never goes back."""

import datetime as dt
from pathlib import Path

import pytest

from conf.environment import Environment
from conf.errors import ConfigError
from conf.simulated_clock import VARIABLE, SimulatedClock

MONDAY = dt.datetime(2026, 11, 16, 0, 20, tzinfo=dt.UTC)
HERE = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092,localhost:9093", "REDIS_URL": "redis://127.0.0.1:6379/0"}


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimulatedClock:
    """Sets the clock of a simulation, and the variables that its processes get."""
    clock = SimulatedClock(tmp_path / "clock.json")
    clock.set(MONDAY)
    variables = {**HERE, "DISCOVERY_HOME": str(tmp_path), VARIABLE: str(clock.file)}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return clock


def test_it_goes_on_from_where_it_was_set(clock: SimulatedClock) -> None:
    known = Environment.read().clock
    assert known == clock
    first, second = clock.now(), known.now()
    assert MONDAY <= first <= second < MONDAY + dt.timedelta(hours=1)
    assert second.tzinfo is dt.UTC


def test_it_is_set_forward_only(clock: SimulatedClock) -> None:
    clock.set(MONDAY + dt.timedelta(days=1))
    clock.set(MONDAY)
    assert clock.now() >= MONDAY + dt.timedelta(days=1)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092,kafka.example:9092", "kafka.example is not this machine"),
        ("KAFKA_BOOTSTRAP_SERVERS", "[2001:db8::1]:9092", "2001:db8::1 is not this machine"),
        ("REDIS_URL", "redis+cluster://127.0.0.1:7000,10.0.0.7:7000", "10.0.0.7 is not this machine"),
        ("DISCOVERY_HOME", "s3://bucket/work", "is not in the work folder"),
        (VARIABLE, "/dev/null", "is not in the work folder"),
    ],
)
def test_it_is_refused_where_somebody_may_be_served(
    clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch, name: str, value: str, why: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=why) as refused:
        Environment.read()
    assert VARIABLE in str(refused.value)


@pytest.mark.parametrize("text", ["", "{}", '{"simulated": "2026-11-16"}', '{"simulated": 7, "set_at": 0}', "[]"])
def test_a_file_that_is_no_clock_is_refused(clock: SimulatedClock, text: str) -> None:
    clock.file.write_text(text)
    with pytest.raises(ConfigError, match="is not a simulated clock"):
        Environment.read()


def test_a_missing_file_is_refused(clock: SimulatedClock) -> None:
    clock.file.unlink()
    with pytest.raises(ConfigError, match="is not a simulated clock"):
        Environment.read()
