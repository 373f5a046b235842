"""Fault 25: clearing while a reader holds the old pointer; clearing killed half-way."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from publish.errors import RunRefused
from publish.operate.control import Control
from publish.read.reader import Reader
from tests.publish.support.promise import World, agree, unchanged
from tests.publish.support.pushing import loading
from tests.publish.support.stored_keys import dump, keys_of


class Killed(BaseException):
    """The process ended here."""


@pytest.fixture
def weeks(world: World) -> World:
    """A world in which three runs served, one after the other: the first is needed by nobody but slow readers."""
    with loading(world.kafka, world.client, world.product):
        for _ in range(2):
            world.serve()
    return world


def later(world: World, **by: float) -> Control:
    """The housekeeping of somebody who comes after that time."""
    return Control.connect(world.client, world.product, clock=lambda: datetime.now(UTC) + timedelta(**by))


@pytest.mark.fault(25)
def test_a_reader_holds_the_old_pointer(world: World) -> None:
    """25: for an hour nobody may clear what it names; after that it is read again before it is a problem."""
    first, lists = world.serving, world.lists
    assert first is not None
    now = 0.0
    reader = Reader(world.client, world.product, clock=lambda: now)
    assert reader.lookup(1).run == first.run
    with loading(world.kafka, world.client, world.product):
        for _ in range(2):
            world.serve()
    with pytest.raises(RunRefused, match="readers may still"):
        later(world, minutes=45).clear(first.run)
    assert all(reader.lookup(user).source_ids == tuple(lists[user]) for user in lists)
    later(world, minutes=61).clear(first.run)
    assert not keys_of(world.client, first)
    answer = reader.lookup(1)  # with the pointer of an hour ago: nothing is found, the pointer is read once more
    assert world.serving is not None
    assert (answer.run, answer.kind, answer.source_ids) == (world.serving.run, "list", tuple(world.lists[1]))
    unchanged(world)


@pytest.mark.fault(25)
@pytest.mark.parametrize("calls", [0, 1, 2, 5])
def test_clearing_is_killed_half_way(weeks: World, monkeypatch: pytest.MonkeyPatch, calls: int) -> None:
    """25: whoever comes next finishes it, and no key stays behind."""
    first = Control.connect(weeks.client, weeks.product).runs()[0].run.announcement
    left = iter(range(calls))
    original = redis.Redis.unlink

    def unlink(self: redis.Redis, *keys: Any) -> Any:
        if next(left, None) is None:
            raise Killed
        return original(self, *keys)

    with monkeypatch.context() as patch:
        patch.setattr(redis.Redis, "unlink", unlink)
        with pytest.raises(Killed):
            later(weeks, hours=2).clear(first.run)
    unchanged(weeks)
    with pytest.raises(RunRefused):
        later(weeks).rollback(first.run, reason="half of it is gone")
    assert later(weeks, hours=2).retire_unneeded() == (first.run,)
    assert not keys_of(weeks.client, first)
    unchanged(weeks)


@pytest.mark.fault(25)
def test_clearing_twice_and_what_is_needed(weeks: World) -> None:
    """25: what the pointer names stays, whoever asks; a run that is gone may be cleared again."""
    first, second, third = (report.run.name for report in Control.connect(weeks.client, weeks.product).runs())
    for needed in (second, third):
        with pytest.raises(RunRefused):
            later(weeks, days=30).clear(needed)
    for _ in range(2):
        later(weeks, hours=2).clear(first)
    agree(weeks.client, weeks.product)
    before = dump(weeks.client, weeks.product)
    assert later(weeks, days=30).retire_unneeded() == ()
    assert dump(weeks.client, weeks.product) == before
    unchanged(weeks)
