"""What a loader believes of the registry, when Redis loses it or gets it back in that very moment."""

import pytest
import redis

from publish.errors import StoreUnreachable
from publish.load.run_book import RunBook
from publish.runs.registry import Registry
from publish.runs.run import Register
from tests.publish.pushing import announce, lists_of

PRODUCT = "booked"


class Restored(Registry):
    """A registry that a rebuild writes back just after it was read."""

    _written = False

    def read_all(self) -> Register:
        found = super().read_all()
        if not found.runs and not self._written:
            self._written = True
            announce(self._client, PRODUCT, lists_of(3), first=True)
        return found


@pytest.mark.parametrize("fresh", [False, True])
def test_a_registry_that_comes_back_in_between_makes_no_stranger(clean_redis: redis.Redis, fresh: bool) -> None:
    book = RunBook(Restored(clean_redis, PRODUCT))
    find = book.find_fresh if fresh else book.find
    with pytest.raises(StoreUnreachable, match="discovery rebuild"):
        find(1)
    found = find(1)
    assert found is not None
    assert found.announcement.epoch == 1


@pytest.mark.parametrize("fresh", [False, True])
def test_a_registry_that_is_lost_in_between_is_told(clean_redis: redis.Redis, fresh: bool) -> None:
    announce(clean_redis, PRODUCT, lists_of(3), first=True)
    book = RunBook(Registry(clean_redis, PRODUCT))
    book.refresh()
    clean_redis.flushall()
    announce(clean_redis, "another", lists_of(3), first=True)
    with pytest.raises(StoreUnreachable, match="discovery rebuild"):
        (book.find_fresh if fresh else book.find)(1 if fresh else 2)


def test_a_run_that_nobody_announced_is_nobodys(clean_redis: redis.Redis) -> None:
    announce(clean_redis, PRODUCT, lists_of(3), first=True)
    book = RunBook(Registry(clean_redis, PRODUCT))
    assert book.find(7) is None
    assert book.find_fresh(7) is None
