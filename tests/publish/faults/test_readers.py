"""Faults 23 and 24: readers who look while the pointer moves; rolling back, and back again."""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
import redis

from publish.errors import RunRefused
from publish.operate.control import Control
from publish.operate.wait import RunEnding
from publish.read.reader import Reader
from publish.runs.pointer import PointerStore
from publish.wire.announcement import Announcement
from tests.publish.support.promise import World, agree, kept, unchanged
from tests.publish.support.pushing import announce, lists_of, load_directly, loading
from tests.publish.support.samples import Lists

USERS, SWAPS = 60, 100


class Onlookers:
    """Readers on threads of their own; each checks that every answer is exactly what the run it names holds."""

    def __init__(self, product: str, url: str) -> None:
        self.known: dict[str, Lists] = {}
        self.answers, self.wrong, self.runs = 0, list[str](), set[str]()
        self._product, self._url, self._stop = product, url, threading.Event()

    @contextmanager
    def looking(self, readers: int = 4) -> Iterator[None]:
        """Read until the block ends."""
        threads = [threading.Thread(target=self._look, args=(number,)) for number in range(readers)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(30)

    def _look(self, number: int) -> None:
        chance = random.Random(number)
        with redis.Redis.from_url(self._url) as client:
            reader = Reader(client, self._product, cache_seconds=[0.0, 0.005, 0.05, 2.0][number % 4])
            while not self._stop.is_set():
                user = chance.randrange(USERS)
                try:
                    answer = reader.lookup(user)
                except Exception as error:  # noqa: BLE001
                    self.wrong.append(repr(error))
                    continue
                self.answers += 1
                self.runs.add(str(answer.run))
                right = self.known.get(str(answer.run), {}).get(user)
                if answer.kind != "list" or right != list(answer.source_ids):
                    self.wrong.append(f"{user}: {answer}")


def ready(client: redis.Redis, product: str, onlookers: Onlookers | None = None) -> Announcement:
    """Another run, complete and not promoted."""
    control = Control.connect(client, product)
    lists = lists_of(USERS, shift=len(control.registry.list_runs()))
    run = announce(client, product, lists, first=True)
    if onlookers is not None:
        onlookers.known[run.run] = lists
    load_directly(client, run, lists)
    assert control.registry.ready(run.run)
    return run


@pytest.mark.fault(23)
def test_every_answer_is_from_exactly_one_run(client: redis.Redis, redis_url: str) -> None:
    """23: a hundred swaps and rollbacks under readers with caches of any age; old runs are cleared meanwhile."""
    product = f"swaps_{datetime.now(UTC):%H%M%S%f}"
    onlookers = Onlookers(product, redis_url)
    control = Control.connect(client, product)
    control.promote(ready(client, product, onlookers).run)
    with onlookers.looking():
        for swap in range(SWAPS):
            if swap % 4 == 3:
                control.rollback(reason="to and fro")
                control.unhold()
            else:
                control.promote(ready(client, product, onlookers).run)
    assert not onlookers.wrong, onlookers.wrong[:3]
    assert onlookers.answers > SWAPS
    assert len(onlookers.runs) > 5, "the readers saw hardly any swap: this showed nothing"
    later = Control.connect(client, product, clock=lambda: datetime.now(UTC) + timedelta(days=3))
    later.retire_unneeded()
    agree(client, product)


@pytest.mark.fault(24)
def test_rolling_back_with_cached_pointers(world: World) -> None:
    """24: whoever still holds the old pointer gets the old run whole; within the cache time everybody has the other."""
    first, second = world.serving, None
    with loading(world.kafka, world.client, world.product):
        second = world.serve()
    assert first is not None
    now = 0.0
    cached = Reader(world.client, world.product, clock=lambda: now)
    assert cached.lookup(1).run == second.run
    Control.connect(world.client, world.product).rollback(reason="bad lists")
    answer = cached.lookup(2)
    assert (answer.run, answer.source_ids) == (second.run, tuple(world.lists[2]))
    now = 2.01
    assert cached.lookup(2).run == first.run


@pytest.mark.fault(24)
def test_rolling_back_twice_then_to_a_cleared_run_then_a_push(world: World) -> None:
    """24: what cannot be rolled back to is refused, and changes nothing; the next push is held."""
    first, first_lists = world.serving, world.lists
    assert first is not None
    control = Control.connect(world.client, world.product)
    with loading(world.kafka, world.client, world.product):
        second = world.serve()
        third = world.serve()
        control.rollback(reason="bad lists")
        assert PointerStore(world.client, world.product).read().treatment == second.run
        control.rollback(first.run, reason="worse lists")
        world.now_serves(first, first_lists)
        unchanged(world)
        with pytest.raises(RunRefused, match="no run to go back to"):
            control.rollback(reason="and again")
        later = Control.connect(world.client, world.product, clock=lambda: datetime.now(UTC) + timedelta(days=2))
        assert set(later.retire_unneeded()) == {second.run, third.run}
        for gone in (second, third):
            with pytest.raises(RunRefused, match="RETIRED"):
                control.rollback(gone.run, reason="to nothing")
        unchanged(world)
        run, lists = world.push()
        assert kept(world, run, lists) is RunEnding.HELD
        control.unhold()
        unchanged(world)
        control.promote(run.run)
        world.now_serves(run, lists)
        unchanged(world)
