"""What an operator asks and orders, and clearing, against the real Redis."""

from datetime import UTC, datetime, timedelta

import pytest
import redis

from conf.share import Share
from publish.errors import RunRefused, UnknownRun
from publish.operate.control import Control
from publish.runs.run import RunState
from publish.wire.announcement import Announcement
from tests.publish.support.pushing import announce, lists_of, load_directly, publish_directly, stored


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def control(clean_redis: redis.Redis, clock: Clock) -> Control:
    return Control.connect(clean_redis, "groups", clock=clock)


def serving_runs(control: Control, client: redis.Redis, number: int) -> list[Announcement]:
    """So many runs that were promoted one after the other."""
    runs = [publish_directly(client, "groups", first=True) for _ in range(number)]
    for run in runs:
        control.promote(run.run)
    return runs


def keys_of(client: redis.Redis, run: Announcement) -> list[bytes]:
    found: list[bytes] = client.keys(f"*:{run.run}:*")
    return found


def test_status_of_an_empty_product(control: Control) -> None:
    status = control.status()
    assert status.serving is None
    assert (status.on_the_way, status.waiting, status.dead_letters) == ((), (), 0)
    assert status.limits.maxmemory > 0


def test_status_tells_what_serves_what_comes_and_what_waits(control: Control, clean_redis: redis.Redis) -> None:
    first, second = serving_runs(control, clean_redis, 2)
    control.hold("looking into it")
    waiting = publish_directly(clean_redis, "groups")
    coming = announce(clean_redis, "groups", lists_of(60))
    load_directly(clean_redis, coming, lists_of(60), leave=2)
    status = control.status()
    assert status.serving is not None
    assert status.serving.name == second.run
    assert [report.run.name for report in status.waiting] == [waiting.run]
    (report,) = status.on_the_way
    assert (report.run.name, sum(part.loaded for part in report.partitions)) == (coming.run, 60)
    assert [part.state for part in report.partitions] == ["VERIFIED", "LOADING", "LOADING"]
    roles = {report.run.name: report.serves_as for report in control.runs()}
    assert roles == {first.run: "previous", second.run: "treatment", waiting.run: None, coming.run: None}


def test_share_says_what_the_run_covers(control: Control, clean_redis: redis.Redis) -> None:
    control.promote(publish_directly(clean_redis, "groups", first=True, share_bp=2_500).run)
    report = control.share(Share(5_000))
    assert (report.asked, report.covered, report.served) == (Share(5_000), Share(2_500), Share(2_500))
    assert control.share(Share(0)).served == Share(0)


def test_verify_reads_a_run_back(control: Control, clean_redis: redis.Redis) -> None:
    run = publish_directly(clean_redis, "groups")
    assert control.verify(run.run) == ()
    clean_redis.delete(run.layout.bucket(run.run, 1, 0))
    (fault,) = control.verify(run.run)
    assert fault.startswith("partition 1:")


def test_what_is_needed_is_not_cleared(control: Control, clean_redis: redis.Redis, clock: Clock) -> None:
    first, second, third = serving_runs(control, clean_redis, 3)
    coming = announce(clean_redis, "groups", lists_of(60))
    for run, why in ((third, "serves"), (second, "rollback"), (first, "readers may still"), (coming, "on its way")):
        with pytest.raises(RunRefused, match=why):
            control.clear(run.run)
    with pytest.raises(UnknownRun):
        control.clear("nobody")
    assert all(len(stored(clean_redis, run)) == 60 for run in (first, second, third))


def test_a_cleared_run_leaves_no_key_and_clearing_twice_is_fine(
    control: Control, clean_redis: redis.Redis, clock: Clock
) -> None:
    first, _, _ = serving_runs(control, clean_redis, 3)
    clock.forward(hours=1, seconds=1)
    control.clear(first.run)
    control.clear(first.run)
    assert not keys_of(clean_redis, first)
    assert control.registry.get(first.run).state is RunState.RETIRED
    with pytest.raises(RunRefused, match="RETIRED"):
        control.rollback(first.run, reason="why")


def test_only_what_nothing_needs_is_retired(control: Control, clean_redis: redis.Redis, clock: Clock) -> None:
    first, second, third = serving_runs(control, clean_redis, 3)
    failed = publish_directly(clean_redis, "groups")
    control.registry.fail(failed.run, "because")
    ready = publish_directly(clean_redis, "groups")  # newer than what serves: it may be promoted yet
    coming = announce(clean_redis, "groups", lists_of(60))
    assert control.retire_unneeded() == (failed.run,)
    clock.forward(hours=1, seconds=1)
    assert control.retire_unneeded(keep=1) == ()
    assert control.retire_unneeded() == (first.run,)
    assert control.retire_unneeded() == ()
    assert not keys_of(clean_redis, first) + keys_of(clean_redis, failed)
    assert all(len(stored(clean_redis, run)) == 60 for run in (second, third, ready))
    assert control.registry.get(coming.run).state is RunState.ANNOUNCED


def test_a_rolled_back_run_is_kept_for_a_day(control: Control, clean_redis: redis.Redis, clock: Clock) -> None:
    _, second = serving_runs(control, clean_redis, 2)
    control.rollback(reason="bad")
    clock.forward(hours=23)
    assert control.retire_unneeded() == ()
    clock.forward(hours=2)
    assert control.retire_unneeded() == (second.run,)


def test_a_run_that_lost_writes_is_not_chosen_by_hand(clean_redis: redis.Redis) -> None:
    old = publish_directly(clean_redis, "groups", first=True)
    control = Control.connect(clean_redis, "groups")
    control.promote(old.run)
    new = publish_directly(clean_redis, "groups")
    clean_redis.hset(new.layout.state(new.run, 1), "state", "LOADING")
    with pytest.raises(RunRefused, match="lost writes of partitions 1;"):
        control.promote(new.run)
    clean_redis.hset(new.layout.state(new.run, 1), "state", "VERIFIED")
    control.promote(new.run)
    clean_redis.hset(old.layout.state(old.run, 0), "state", "LOADING")
    for to in (None, old.run):
        with pytest.raises(RunRefused, match="lost writes of partitions 0;"):
            control.rollback(to, reason="worse")
    assert control.pointers.read().treatment == new.run
