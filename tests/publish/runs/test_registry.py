"""States of runs, against the real Redis."""

from collections.abc import Callable

import pytest
import redis

from publish.errors import RunRefused, UnknownRun
from publish.runs.lease import Lease
from publish.runs.pointer import PointerStore
from publish.runs.promotion import Promoter
from publish.runs.registry import RunRegistry
from publish.runs.run import RunState
from publish.wire.announcement import Announcement
from publish.wire.keys import ProductKeys
from tests.publish.support.pushing import announce, lists_of, load_directly, publish_directly
from tests.publish.support.samples import announcement_of

LISTS = lists_of(30)
KEYS = ProductKeys("groups")


@pytest.fixture
def registry(clean_redis: redis.Redis) -> RunRegistry:
    return RunRegistry(clean_redis, "groups")


def test_epochs_grow(registry: RunRegistry) -> None:
    assert not registry.knows_anything()
    assert [registry.next_epoch() for _ in range(3)] == [1, 2, 3]
    assert registry.knows_anything()


def test_an_announcement_is_written_once(registry: RunRegistry, clean_redis: redis.Redis) -> None:
    run = announce(clean_redis, "groups", LISTS)
    registry.start_loading(run.run)
    registry.announce(run)  # again: changes nothing
    assert registry.get(run.run).announcement == run
    assert registry.get(run.run).state is RunState.LOADING
    with pytest.raises(RunRefused, match="another content"):
        registry.announce(Announcement.model_validate({**run.model_dump(), "config_hash": "other"}))


def test_an_epoch_must_come_from_this_redis(registry: RunRegistry) -> None:
    with pytest.raises(RunRefused, match="epoch"):
        registry.announce(announcement_of(LISTS, product="groups", epoch=7))


def test_a_run_of_another_product_is_refused(registry: RunRegistry) -> None:
    with pytest.raises(RunRefused, match="belongs to music"):
        registry.announce(announcement_of(LISTS, product="music"))


def test_only_the_holder_of_the_lease_may_announce(registry: RunRegistry, clean_redis: redis.Redis) -> None:
    run = announcement_of(LISTS, product="groups", epoch=registry.next_epoch())
    with pytest.raises(RunRefused, match="lease"):
        registry.announce(run, lease_token=1)
    with Lease.acquire(clean_redis, KEYS, "other"), pytest.raises(RunRefused, match="lease"):
        registry.announce(run, lease_token=10**6)
    with Lease.acquire(clean_redis, KEYS, run.run) as lease:
        registry.announce(run, lease_token=lease.token)
    assert registry.get(run.run).state is RunState.ANNOUNCED


def test_runs_are_listed_by_epoch(registry: RunRegistry, clean_redis: redis.Redis) -> None:
    runs = [announce(clean_redis, "groups", LISTS) for _ in range(3)]
    assert [run.name for run in registry.list_runs()] == [run.run for run in runs]


def test_an_unknown_run_is_an_error(registry: RunRegistry) -> None:
    calls: list[Callable[[], object]] = [
        lambda: registry.get("nobody"),
        lambda: registry.fail("nobody", "why"),
        lambda: registry.retire("nobody", "why"),
        lambda: registry.start_loading("nobody"),
    ]
    for call in calls:
        with pytest.raises(UnknownRun, match="nobody"):
            call()


def test_states_move_forward_only(registry: RunRegistry, clean_redis: redis.Redis) -> None:
    run = announce(clean_redis, "groups", LISTS)
    assert not registry.ready(run.run)  # not yet LOADING
    assert registry.start_loading(run.run)
    assert not registry.start_loading(run.run)
    assert registry.ready(run.run)
    assert not registry.start_loading(run.run)
    assert registry.fail(run.run, "because")
    assert not registry.ready(run.run)
    assert registry.fail(run.run, "again")
    assert registry.get(run.run).status.reason == "because"  # the first reason stays


def test_failing_fences_the_partitions(registry: RunRegistry, clean_redis: redis.Redis) -> None:
    run = announce(clean_redis, "groups", LISTS)
    load_directly(clean_redis, run, LISTS, leave=1)
    registry.fail(run.run, "because")
    assert {part.state for part in registry._store.progress(run)} == {"FAILED"}


def test_what_the_pointer_names_is_neither_failed_nor_retired(registry: RunRegistry, clean_redis: redis.Redis) -> None:
    promoter = Promoter(registry, PointerStore(clean_redis, "groups"))
    first, second = publish_directly(clean_redis, "groups", first=True), publish_directly(clean_redis, "groups")
    promoter.promote(first.run)
    promoter.promote(second.run)
    for run, role in ((second, "treatment"), (first, "previous")):
        with pytest.raises(RunRefused, match=role):
            registry.fail(run.run, "because")
        with pytest.raises(RunRefused, match="cannot be cleared"):
            registry.retire(run.run, "because")
        assert registry.get(run.run).state is RunState.READY


def test_a_full_redis_can_still_be_told_that_a_run_failed(registry: RunRegistry, clean_redis: redis.Redis) -> None:
    run = announce(clean_redis, "groups", LISTS)
    before = clean_redis.config_get("maxmemory")["maxmemory"]
    clean_redis.config_set("maxmemory", 1)
    try:
        assert registry.fail(run.run, "full")
    finally:
        clean_redis.config_set("maxmemory", before)
    assert registry.get(run.run).status.reason == "full"
