import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from conf.connections import RedisConnection
from publish.connect.redis_clients import redis_client
from publish.errors import LeaseHeld, LeaseLost, StoreUnreachable
from publish.runs import lease as lease_module
from publish.runs.lease import Lease
from publish.wire.keys import ProductKeys

KEYS = ProductKeys("groups")
LONG = 300.0
"""Seconds for which no test stands still."""


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases that last are renewed all the time."""
    monkeypatch.setattr(lease_module, "_RENEWALS", LONG / 0.05)


def until(condition: Callable[[], bool], seconds: float = 180.0) -> None:
    """Wait for the condition, and fail when it does not come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_lost(lease: Lease) -> bool:
    try:
        lease.check()
    except LeaseLost:
        return True
    return False


def test_one_run_at_a_time_and_the_refusal_says_who(clean_redis: redis.Redis) -> None:
    with Lease.acquire(clean_redis, KEYS, "r1") as lease:
        lease.check()
        with pytest.raises(LeaseHeld, match=rf"run r1 \(host .*pid {lease.holder.pid}, since 20.*lapses by itself"):
            Lease.acquire(clean_redis, KEYS, "r2")
    with Lease.acquire(clean_redis, KEYS, "r2") as second:
        assert second.token > lease.token


def test_products_do_not_wait_for_each_other(clean_redis: redis.Redis) -> None:
    with Lease.acquire(clean_redis, KEYS, "r1"), Lease.acquire(clean_redis, ProductKeys("music"), "r1") as other:
        other.check()


@pytest.mark.usefixtures("eager")
def test_it_is_renewed_for_as_long_as_it_is_held(clean_redis: redis.Redis) -> None:
    with Lease.acquire(clean_redis, KEYS, "r1", ttl=LONG) as lease:
        for _ in range(3):
            good_until = lease._good_until
            clean_redis.pexpire(KEYS.lease, round(LONG * 500))
            until(lambda: clean_redis.pttl(KEYS.lease) > LONG * 750 and lease._good_until > good_until)  # noqa: B023
            lease.check()
    assert clean_redis.get(KEYS.lease) is None


def test_an_attempt_whose_process_is_gone_is_taken_over_at_once(clean_redis: redis.Redis, redis_url: str) -> None:
    dies = (
        "import os, sys; from conf.connections import RedisConnection; "
        "from publish.connect.redis_clients import redis_client; from publish.wire.keys import ProductKeys; "
        "from publish.runs.lease import Lease; "
        "Lease.acquire(redis_client(RedisConnection.of(sys.argv[1])), ProductKeys('groups'), 'r1'); "
        "os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", dies, redis_url], check=False, cwd=Path(__file__).parents[3])
    with pytest.raises(LeaseHeld, match="run r1"):
        Lease.acquire(clean_redis, KEYS, "r2")  # another run waits until it lapses
    told: list[str] = []
    with Lease.acquire(clean_redis, KEYS, "r1", on_wait=told.append) as lease:
        lease.check()
    assert told == []


def test_a_killed_attempt_of_the_same_run_is_waited_for(clean_redis: redis.Redis) -> None:
    killed = Lease.acquire(clean_redis, KEYS, "r1", ttl=LONG)
    killed._stop.set()  # as after kill -9: nobody renews it, nobody gives it back
    told: list[str] = []

    def lapse(text: str) -> None:
        told.append(text)
        clean_redis.pexpire(KEYS.lease, 300)
        killed._good_until -= LONG

    with Lease.acquire(clean_redis, KEYS, "r1", ttl=LONG, on_wait=lapse) as lease:
        assert lease.token > killed.token
        assert len(told) == 1
        assert "earlier attempt: run r1" in told[0]
        assert is_lost(killed)


def test_a_living_attempt_of_the_same_run_is_not_displaced(clean_redis: redis.Redis) -> None:
    with Lease.acquire(clean_redis, KEYS, "r1", ttl=LONG) as lease:
        with pytest.raises(LeaseHeld):
            Lease.acquire(clean_redis, KEYS, "r1", ttl=1.0)
        lease.check()


@pytest.mark.usefixtures("eager")
def test_a_lease_taken_over_is_noticed_and_not_given_back(clean_redis: redis.Redis) -> None:
    lease = Lease.acquire(clean_redis, KEYS, "r1", ttl=LONG)
    clean_redis.set(KEYS.lease, "another's")
    until(lambda: is_lost(lease))
    with pytest.raises(LeaseLost, match=r"another run took it over.*discovery status"):
        lease.check()
    lease.release()
    lease.release()
    assert clean_redis.get(KEYS.lease) == b"another's"


@pytest.mark.usefixtures("eager")
def test_a_lease_that_cannot_be_renewed_is_lost_when_it_may_have_lapsed(
    clean_redis: redis.Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with redis_client(RedisConnection.of(redis_url)) as client:
        lease = Lease.acquire(client, KEYS, "r1", ttl=LONG)
        failed: list[object] = []

        def cut(*args: object, **options: object) -> None:
            failed.append(args)
            raise redis.ConnectionError("cut")

        monkeypatch.setattr(client, "eval", cut)
        until(lambda: len(failed) > 2)
        lease.check()  # a renewal that fails is not the end
        lease._good_until -= LONG
        assert is_lost(lease)
        with pytest.raises(LeaseLost, match="not renewed in time"):
            lease.check()
        with pytest.raises(StoreUnreachable):
            lease.release()


def test_the_first_error_is_the_one_that_is_told(clean_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    lease = Lease.acquire(clean_redis, KEYS, "r1")

    def cut(*args: object, **options: object) -> None:
        raise redis.ConnectionError("cut")

    monkeypatch.setattr(clean_redis, "eval", cut)
    with pytest.raises(ZeroDivisionError), lease:
        raise ZeroDivisionError


def test_something_else_in_its_place_is_refused(clean_redis: redis.Redis) -> None:
    clean_redis.set(KEYS.lease, "what?")
    with pytest.raises(LeaseHeld, match="not a lease"):
        Lease.acquire(clean_redis, KEYS, "r1")
