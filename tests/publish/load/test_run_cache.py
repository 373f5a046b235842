"""What a loader believes of the registry, when Redis loses it or gets it back in that very moment."""

import pytest
import redis

from publish.errors import StoreUnreachable
from publish.load.run_cache import RunCache
from publish.runs.registry import RunRegistry
from publish.runs.run import RegistryContent
from tests.publish.support.pushing import announce, lists_of

PRODUCT = "booked"


class Restored(RunRegistry):
    """A registry that a rebuild writes back just after it was read."""

    _written = False

    def read_all(self) -> RegistryContent:
        found = super().read_all()
        if not found.runs and not self._written:
            self._written = True
            announce(self._client, PRODUCT, lists_of(3), first=True)
        return found


@pytest.mark.parametrize("fresh", [False, True])
def test_a_registry_that_comes_back_in_between_makes_no_stranger(clean_redis: redis.Redis, fresh: bool) -> None:
    run_cache = RunCache(Restored(clean_redis, PRODUCT))
    find = run_cache.find_fresh if fresh else run_cache.find
    with pytest.raises(StoreUnreachable, match="discovery rebuild"):
        find(1)
    found = find(1)
    assert found is not None
    assert found.announcement.epoch == 1


@pytest.mark.parametrize("fresh", [False, True])
def test_a_registry_that_is_lost_in_between_is_told(clean_redis: redis.Redis, fresh: bool) -> None:
    announce(clean_redis, PRODUCT, lists_of(3), first=True)
    run_cache = RunCache(RunRegistry(clean_redis, PRODUCT))
    run_cache.refresh()
    clean_redis.flushall()
    announce(clean_redis, "another", lists_of(3), first=True)
    with pytest.raises(StoreUnreachable, match="discovery rebuild"):
        (run_cache.find_fresh if fresh else run_cache.find)(1 if fresh else 2)


def test_a_run_that_nobody_announced_is_nobodys(clean_redis: redis.Redis) -> None:
    announce(clean_redis, PRODUCT, lists_of(3), first=True)
    run_cache = RunCache(RunRegistry(clean_redis, PRODUCT))
    assert run_cache.find(7) is None
    assert run_cache.find_fresh(7) is None
