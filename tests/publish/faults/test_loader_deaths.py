"""Fault 14: a loader killed at every point between two writes; another one goes on, and nothing is lost or doubled."""

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
import redis

from conf.connections import KafkaConnection
from publish.operate.control import Control
from publish.operate.wait import RunEnding
from publish.runs.history import kept_history, read_history
from publish.runs.pointer import PointerStore
from publish.runs.registry import RunRegistry
from publish.runs.run import RunState
from publish.wire.announcement import Announcement
from tests.publish.support.damages import key_flipped, one_lost, whole
from tests.publish.support.dying_loader import POINTS, SESSION_SECONDS
from tests.publish.support.processes import dying_loaders
from tests.publish.support.promise import World, kept, unchanged
from tests.publish.support.pushing import announce, eventually, lists_of, load_directly, loading
from tests.publish.support.samples import Lists

DAMAGES = {"a letter sent, not counted": key_flipped, "FAILED, not fenced": one_lost}
PAIR = "between a control and its treatment"
"""Not in POINTS: the loader ends as soon as the control is READY."""
SERVED_ALREADY = ("swapped, not in Kafka", "after the swap")


@dataclass
class Killed:
    """A world whose loader was killed at a point while it loaded the second run."""

    world: World
    run: Announcement
    lists: Lists


@pytest.fixture(scope="module")
def graveyard(kafka: KafkaConnection, redis_url: str) -> Iterator[dict[str, Killed]]:
    """One world per point; all loaders die at the same time, as a dead one's partitions are free after 10 s only."""
    with ExitStack() as stack:
        client = stack.enter_context(redis.Redis.from_url(redis_url))
        killed = {point: _second_run(kafka, client, point) for point in POINTS} | {PAIR: _pair(kafka, client)}
        points = {at.world.product: point for point, at in killed.items()}
        points[killed[PAIR].world.product] = "between READY and promote"
        loaders = stack.enter_context(dying_loaders(kafka, redis_url, points))
        said, _ = loaders.communicate(timeout=240)
        assert said.count(f"ended by {-signal.SIGKILL}") == len(killed), said
        time.sleep(SESSION_SECONDS)  # the group still waits for the dead
        yield killed


def _second_run(kafka: KafkaConnection, client: redis.Redis, point: str) -> Killed:
    """A product in which one run serves, and the next one was sent."""
    world = _serving(kafka, client)
    return Killed(world, *world.push(lists_of(200, shift=5), DAMAGES.get(point, whole)))


def _pair(kafka: KafkaConnection, client: redis.Redis) -> Killed:
    """A product in which one run serves, and a control and its treatment were sent."""
    world = _serving(kafka, client)
    control, _ = world.push(lists_of(200, shift=3), role="control")
    return Killed(world, *world.push(lists_of(200, shift=5), control=control.run))


def _serving(kafka: KafkaConnection, client: redis.Redis) -> World:
    """A product in which one run serves."""
    world = World.new(kafka, client)
    lists = lists_of(200)
    first = announce(client, world.product, lists, first=True)
    load_directly(client, first, lists)
    for partition in range(first.partitions):
        client.delete(first.layout.position(partition))
    assert RunRegistry(client, world.product).ready(first.run)
    Control.connect(client, world.product).promote(first.run)
    world.now_serves(first, lists)
    return world


@pytest.mark.fault(14)
@pytest.mark.parametrize("point", POINTS)
def test_a_loader_killed(graveyard: dict[str, Killed], point: str) -> None:
    """14: until another goes on, readers have the old run or the new one; then the new one if it is whole."""
    at = graveyard[point]
    world, run, lists = at.world, at.run, at.lists
    serving = PointerStore(world.client, world.product).read().treatment
    assert (serving == run.run) == (point in SERVED_ALREADY)
    if serving == run.run:
        world.now_serves(run, lists)
    elif RunRegistry(world.client, world.product).get(run.run).state is not RunState.FAILED:
        unchanged(world)
    with loading(world.kafka, world.client, world.product):
        assert kept(world, run, lists) is (RunEnding.FAILED if point in DAMAGES else RunEnding.SERVING)
        assert kept(world, *world.push(lists_of(200, shift=9))) is RunEnding.SERVING
        if point in SERVED_ALREADY:
            eventually(lambda: kept_history(world.kafka, run.layout) == read_history(world.client, run.product, None))
            assert [change.rev for change in kept_history(world.kafka, run.layout).entries] == [1, 2, 3]


@pytest.mark.fault(14)
def test_a_loader_killed_between_a_control_and_its_treatment(graveyard: dict[str, Killed]) -> None:
    """14: neither serves until both are there."""
    at = graveyard[PAIR]
    world, run = at.world, at.run
    assert run.control is not None
    registry, pointers = RunRegistry(world.client, world.product), PointerStore(world.client, world.product)
    assert registry.get(run.control).state is RunState.READY
    assert pointers.read().control is None
    unchanged(world)
    with loading(world.kafka, world.client, world.product):
        assert kept(world, run, at.lists) is RunEnding.SERVING
    assert (pointers.read().treatment, pointers.read().control) == (run.run, run.control)


@pytest.mark.fault(14)
def test_a_run_whose_loader_died_is_finished_by_whoever_waits(kafka: KafkaConnection, client: redis.Redis) -> None:
    """14: between VERIFIED and promote, and no loader comes back."""
    world = World.new(kafka, client)
    lists = lists_of(60)
    run = announce(client, world.product, lists, first=True)
    load_directly(client, run, lists)
    assert kept(world, run, lists) is RunEnding.SERVING
