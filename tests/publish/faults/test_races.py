"""Fault 22: two pushes at once, an older run that arrives late, and many who decide about a run at once."""

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from publish.errors import PublishError, RunHeld
from publish.operate.control import Control
from publish.operate.wait import RunEnding
from publish.runs.pointer import PointerStore
from publish.runs.promotion import Promoter
from publish.runs.registry import RunRegistry
from publish.runs.run import RunState
from tests.publish.support.promise import World, agree, kept, unchanged
from tests.publish.support.pushing import ending_of, loading, publish_directly, send, wire_of


@pytest.mark.fault(22)
def test_two_pushes_at_once(world: World) -> None:
    """22: their records come interleaved; the newer one serves, the older one served before or is FAILED."""
    lists = [world.next_lists(), world.next_lists() | {3: [30]}]
    older, newer = (world.announce(some) for some in lists)
    wires = [wire_of(older, lists[0]), wire_of(newer, lists[1])]
    mixed = [record for pair in zip(*wires, strict=True) for record in pair]
    with loading(world.kafka, world.client, world.product):
        send(world.kafka, older.layout.topic, mixed)
        assert kept(world, newer, lists[1]) is RunEnding.SERVING
        assert ending_of(world.client, older).ending is RunEnding.FAILED
    unchanged(world)


@pytest.mark.fault(22)
def test_an_older_run_arrives_late(world: World) -> None:
    """22: complete as it is, it does not replace a newer one."""
    late_lists = world.next_lists()
    late = world.announce(late_lists)
    with loading(world.kafka, world.client, world.product):
        assert kept(world, *world.push()) is RunEnding.SERVING
        send(world.kafka, late.layout.topic, wire_of(late, late_lists))
        assert kept(world, late, late_lists) is RunEnding.FAILED


def at_once(*calls: Callable[[], object]) -> list[str]:
    """Make all calls within a few milliseconds, in any order; returns the refusals."""
    gate, refusals = threading.Barrier(len(calls)), list[str]()

    def one(call: Callable[[], object]) -> None:
        gate.wait()
        time.sleep(random.uniform(0, 0.004))
        try:
            call()
        except PublishError as refused:
            refusals.append(str(refused))

    with ThreadPoolExecutor(len(calls)) as pool:
        list(pool.map(one, calls))
    return refusals


def promoter(client: redis.Redis, product: str) -> Promoter:
    return Promoter(RunRegistry(client, product), PointerStore(client, product))


@pytest.mark.fault(22)
def test_failing_a_run_races_promoting_it(client: redis.Redis) -> None:
    """22: it serves or it is FAILED, never both, whoever was faster."""
    product, ends, tries = "races_fail", set[bool](), 0
    client.delete(f"{{{product}}}:ptr", f"{{{product}}}:runs")
    while tries < 40 or (len(ends) < 2 and tries < 1_000):  # on a busy machine one side may be faster for long
        tries += 1
        run = publish_directly(client, product, first=True)
        mine, other = promoter(client, product), RunRegistry(client, product)
        at_once(lambda: mine.promote(run.run), lambda: other.fail(run.run, "a race"))  # noqa: B023
        serves = PointerStore(client, product).read().treatment == run.run
        assert serves == (other.get(run.run).state is RunState.READY)
        ends.add(serves)
        agree(client, product)
    assert ends == {True, False}, "one side was always faster: this showed nothing"


@pytest.mark.fault(22)
def test_clearing_a_run_races_promoting_and_rolling_back_to_it(client: redis.Redis) -> None:
    """22: what a pointer names is never cleared, what is cleared is never named."""
    product = "races_clear"
    client.delete(f"{{{product}}}:ptr", f"{{{product}}}:runs")
    for _ in range(25):
        first = publish_directly(client, product, first=True)
        promoting = promoter(client, product)
        promoting.unhold()
        promoting.promote(first.run)
        run = publish_directly(client, product, first=True)
        clear = Control.connect(client, product).clear
        at_once(lambda: promoting.promote(run.run), lambda: clear(run.run), lambda: clear(first.run))  # noqa: B023
        at_once(
            lambda: promoter(client, product).rollback(reason="a race"),
            lambda: clear(first.run),  # noqa: B023
            lambda: clear(run.run),  # noqa: B023
        )
        agree(client, product)


@pytest.mark.fault(22)
def test_a_hold_races_promotions(client: redis.Redis) -> None:
    """22: after the hold was set, nothing is promoted by itself."""
    product = "races_hold"
    client.delete(f"{{{product}}}:ptr", f"{{{product}}}:runs")
    for _ in range(25):
        run = publish_directly(client, product, first=True)
        promoting, other = promoter(client, product), promoter(client, product)
        promoting.unhold()
        at_once(lambda: promoting.promote_if_ready(run.run), lambda: other.hold("a race"))  # noqa: B023
        pointer = PointerStore(client, product).read()
        assert pointer.hold is not None
        late = publish_directly(client, product, first=True)
        with pytest.raises(RunHeld, match="a race"):
            other.promote(late.run)
        assert PointerStore(client, product).read() == pointer
        agree(client, product)
