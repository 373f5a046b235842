"""Waiting for a run, against the real Redis and with time in the test's hands."""

import pytest
import redis

from publish.errors import UnknownRun
from publish.operate.control import Control
from publish.operate.wait import LoadProgress, RunEnding, Waited, wait
from publish.runs.registry import RunRegistry
from publish.runs.run import RunState
from tests.publish.support.pushing import announce, lists_of, load_directly, publish_directly

LISTS = lists_of(60)


class Time:
    """Monotonic time that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def read(self) -> float:
        return self.now


@pytest.fixture
def control(clean_redis: redis.Redis) -> Control:
    return Control.connect(clean_redis, "groups")


def waited(control: Control, run: str, *, deadline: float | None = 1_000) -> Waited:
    time = Time()
    return wait(run, control.lifecycle, control.pointers, deadline=deadline, sleep=time.sleep, monotonic=time.read)


def test_a_run_that_serves(control: Control, clean_redis: redis.Redis) -> None:
    run = publish_directly(clean_redis, "groups", first=True)
    control.promote(run.run)
    assert waited(control, run.run) == Waited(RunEnding.SERVING)


def test_a_loader_that_died_after_the_last_partition_is_made_up_for(control: Control, clean_redis: redis.Redis) -> None:
    run = announce(clean_redis, "groups", LISTS, first=True)
    load_directly(clean_redis, run, LISTS)
    assert RunRegistry(clean_redis, "groups").get(run.run).state is RunState.LOADING
    assert waited(control, run.run).ending is RunEnding.SERVING


def test_a_loader_that_died_before_the_swap_is_made_up_for(control: Control, clean_redis: redis.Redis) -> None:
    run = publish_directly(clean_redis, "groups", first=True)
    assert waited(control, run.run).ending is RunEnding.SERVING


def test_a_held_run(control: Control, clean_redis: redis.Redis) -> None:
    control.hold("looking into it")
    run = publish_directly(clean_redis, "groups", first=True)
    assert waited(control, run.run).ending is RunEnding.HELD
    control.unhold()
    assert waited(control, run.run).ending is RunEnding.HELD
    control.promote(run.run)
    assert waited(control, run.run).ending is RunEnding.SERVING


def test_a_failed_run_gives_its_reason(control: Control, clean_redis: redis.Redis) -> None:
    run = announce(clean_redis, "groups", LISTS)
    control.registry.fail(run.run, "because")
    assert waited(control, run.run) == Waited(RunEnding.FAILED, "because")


def test_a_failed_partition_fails_the_run(control: Control, clean_redis: redis.Redis) -> None:
    run = announce(clean_redis, "groups", LISTS)
    load_directly(clean_redis, run, LISTS, leave=1)
    clean_redis.hset(run.layout.state(run.run, 2), mapping={"state": "FAILED", "reason": "a conflict"})
    assert waited(control, run.run) == Waited(RunEnding.FAILED, "a conflict")


@pytest.mark.parametrize("begun", [True, False])
def test_a_run_that_stands_still_fails(control: Control, clean_redis: redis.Redis, begun: bool) -> None:
    run = announce(clean_redis, "groups", LISTS, stall_seconds=30)
    if begun:
        load_directly(clean_redis, run, LISTS, leave=1)
    found = waited(control, run.run)
    assert found.ending is RunEnding.FAILED
    assert f"{60 if begun else 0} of 60 lists had arrived" in found.reason
    assert control.registry.get(run.run).state is RunState.FAILED


def test_the_deadline_of_the_run_fails_it(control: Control, clean_redis: redis.Redis) -> None:
    run = announce(clean_redis, "groups", LISTS, load_deadline_seconds=1, stall_seconds=10**6)
    load_directly(clean_redis, run, LISTS, leave=1)
    found = wait(run.run, control.lifecycle, control.pointers)
    assert found.ending is RunEnding.DEADLINE
    assert control.registry.get(run.run).state is RunState.FAILED


def test_the_deadline_of_the_caller_leaves_the_run_alone(control: Control, clean_redis: redis.Redis) -> None:
    run = announce(clean_redis, "groups", LISTS)
    assert waited(control, run.run, deadline=5).ending is RunEnding.DEADLINE
    assert control.registry.get(run.run).state is RunState.ANNOUNCED


def test_a_run_that_was_replaced_or_rolled_back_serves_no_more(control: Control, clean_redis: redis.Redis) -> None:
    first, second, third = (publish_directly(clean_redis, "groups", first=True) for _ in range(3))
    for run in (first, second, third):
        control.promote(run.run)
    assert [waited(control, run.run).ending for run in (first, second)] == [RunEnding.FAILED] * 2
    control.rollback(reason="bad")
    assert "bad" in waited(control, third.run).reason
    assert waited(control, second.run).ending is RunEnding.SERVING


def test_progress_is_told(control: Control, clean_redis: redis.Redis) -> None:
    run = announce(clean_redis, "groups", LISTS, stall_seconds=2)
    load_directly(clean_redis, run, LISTS, leave=1)
    told: list[LoadProgress] = []
    time = Time()
    wait(run.run, control.lifecycle, control.pointers, progress=told.append, sleep=time.sleep, monotonic=time.read)
    assert (told[0].loaded, told[0].total, told[0].state) == (60, 60, RunState.LOADING)
    assert [part.state for part in told[0].partitions] == ["VERIFIED", "VERIFIED", "LOADING"]
    assert told[-1].rate == 0.0


def test_an_unknown_run_is_an_error(control: Control) -> None:
    with pytest.raises(UnknownRun):
        waited(control, "nobody")
