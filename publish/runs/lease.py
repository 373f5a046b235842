"""A lease in Redis that allows one run per product at a time; it expires when its holder dies.

The holder renews it from a thread. Time alone cannot protect against a process that was frozen and wakes up, so each
lease carries a fencing token, larger than that of every lease before (Kleppmann, "How to do distributed locking",
2016).
"""

import os
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from pydantic import AwareDatetime, ValidationError

from conf.base import Strict
from publish.clock import Clock, utc_now
from publish.connect.redis_clients import STORE_FAULTS, StoreClient
from publish.connect.store_scripts import store_faults
from publish.errors import LeaseHeld, LeaseLost, StoreUnreachable
from publish.wire.keys import ProductKeys

_RENEWALS = 3
"""Within the time after which a lease expires."""
_RENEW = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('PEXPIRE', KEYS[1], ARGV[2]) or 0"
_RELEASE = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0"


class Holder(Strict):
    """The holder of a lease, as stored in Redis; unique by its token."""

    run: str
    token: int
    host: str
    pid: int
    since: AwareDatetime

    def __str__(self) -> str:
        return f"run {self.run} (host {self.host}, pid {self.pid}, since {self.since:%Y-%m-%d %H:%M:%S} UTC)"


class Lease:
    """A lease made by `acquire` and renewed until `release`; as a context manager it is released at the end."""

    def __init__(self, client: StoreClient, keys: ProductKeys, holder: Holder, ttl: float) -> None:
        self.holder = holder
        self._client, self._keys, self._ttl = client, keys, ttl
        self._value = holder.model_dump_json()
        self._good_until = time.monotonic() + ttl
        self._lost: str | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"lease-{keys.product}", daemon=True)

    @classmethod
    def acquire(
        cls,
        client: StoreClient,
        keys: ProductKeys,
        run: str,
        *,
        ttl: float = 30.0,
        on_wait: Callable[[str], None] = lambda text: None,
        now: Clock = utc_now,
    ) -> Self:
        """Returns the product's lease for `run`; it expires `ttl` seconds after the last renewal; raises LeaseHeld.

        A lease held for the same run was left by a killed attempt. If its process ran on this host and is gone, the
        lease is taken over; otherwise this waits until it expires, and calls `on_wait` once with a message.
        """
        deadline = time.monotonic() + ttl + 1
        reported = False
        while True:
            asked = time.monotonic()
            lease = cls(client, keys, _new_holder(client, keys, run, now), ttl)
            if lease._take():
                lease._good_until = asked + ttl
                lease._thread.start()
                return lease
            holder, left = _current(client, keys)
            if holder is not None and holder.run == run and _is_dead(holder):
                _drop(client, keys, holder)  # if it is alive after all, its older token fences it
                continue
            if holder is not None and (holder.run != run or asked > deadline):
                raise LeaseHeld(_refusal(keys, holder, left))
            if holder is not None and not reported:
                on_wait(f"waiting up to {left:.0f} s for the lease of an earlier attempt: {holder}")
                reported = True
            time.sleep(min(0.5, max(0.02, left)))

    @property
    def token(self) -> int:
        """The fencing token, larger than that of every lease before."""
        return self.holder.token

    def check(self) -> None:
        """Raises LeaseLost unless the lease is held; call it before each step that others can see."""
        if self._lost is None and time.monotonic() > self._good_until:
            self._lost = "it was not renewed in time; the process was frozen, or Redis did not answer"
        if self._lost is not None:
            raise LeaseLost(
                f"{self._keys.product}: {self.holder} lost its lease ({self._lost}); it stops here and what served "
                "before still does; see `discovery status`, then start the run again with the same run id"
            )

    def release(self) -> None:
        """Releases the lease unless another run has it; may be repeated; raises StoreUnreachable."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        with store_faults():
            self._client.eval(_RELEASE, 1, self._keys.lease, self._value)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.release()
        except StoreUnreachable:
            if error is None:  # otherwise report the first error; the lease expires by itself
                raise

    def _take(self) -> bool:
        with store_faults():
            return bool(self._client.set(self._keys.lease, self._value, nx=True, px=_milliseconds(self._ttl)))

    def _keep(self) -> None:
        while not self._stop.wait(self._ttl / _RENEWALS) and self._lost is None:
            asked = time.monotonic()
            try:
                kept = self._client.eval(_RENEW, 1, self._keys.lease, self._value, str(_milliseconds(self._ttl)))
            except STORE_FAULTS:
                continue  # tried again; `check` refuses once the lease may have lapsed
            if kept:
                self._good_until = asked + self._ttl
            else:
                self._lost = "it lapsed, or another run took it over"


def holder_of(client: StoreClient, keys: ProductKeys) -> Holder | None:
    """Returns who holds the product's lease now; None if nobody does; raises LeaseHeld if that cannot be read."""
    with store_faults():
        raw = client.get(keys.lease)
    if raw is None:
        return None
    try:
        return Holder.model_validate_json(raw)
    except ValidationError:
        raise LeaseHeld(f"{keys.lease} has a value that is not a lease; delete it if no run is under way") from None


def _new_holder(client: StoreClient, keys: ProductKeys, run: str, now: Clock) -> Holder:
    with store_faults():
        token = int(client.incr(keys.lease_token))
    return Holder(run=run, token=token, host=socket.gethostname(), pid=os.getpid(), since=now())


def _current(client: StoreClient, keys: ProductKeys) -> tuple[Holder | None, float]:
    # Returns the holder, and the seconds until the lease expires unless renewed.
    holder = holder_of(client, keys)
    if holder is None:
        return None, 0.0
    with store_faults():
        return holder, max(0, int(client.pttl(keys.lease))) / 1_000


def _is_dead(holder: Holder) -> bool:
    # Returns whether the holder was a process of this host that no longer runs.
    if holder.host != socket.gethostname():
        return False
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _drop(client: StoreClient, keys: ProductKeys, holder: Holder) -> None:
    with store_faults():
        client.eval(_RELEASE, 1, keys.lease, holder.model_dump_json())


def _refusal(keys: ProductKeys, holder: Holder, left: float) -> str:
    return (
        f"{keys.product}: one run at a time, and the lease is held by {holder}; wait for it or stop it. "
        f"If that process is dead already, the lease lapses by itself within {left:.0f} s"
    )


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1_000))
