"""Checks whether the lists of a run would survive the loss of a Redis master.

A replica is a moment behind its master: when the master dies, its last writes are lost. Loading tolerates that, because
a partition's position is lost together with its lists. A serving run does not: its pointer is in another slot, perhaps
on another master, and would continue to name lists that a late replica never got. So a run may only become READY once
the replicas have it (`Announcement.replicas`).

`WAIT n` returns how many replicas have acknowledged everything its connection wrote. A replica acknowledges an offset
of one stream, which has the writes of all connections in order. So one small write on our own connection, followed by
WAIT, also covers every list that other connections wrote to that master before.

`WAITAOF`, which waits for the disk instead, needs Redis 7.2 and is not necessary here: a server that restarts from its
own append-only file has lost the end of one stream, its positions included, and the lists are loaded again.
"""

import time
from collections.abc import Iterable

from publish.connect.redis_clients import StoreClient
from publish.connect.redis_masters import MasterServer, masters_of
from publish.connect.store_scripts import store_faults
from publish.errors import StoreRefused
from publish.store.redis_store import PartitionStatus, RedisStore
from publish.wire.announcement import Announcement
from publish.wire.keys import synced_key

_WAIT_MILLISECONDS = 500
"""Longest wait for one master's replicas; the caller asks again later."""
_PAUSE_SECONDS = 0.1


def missing_copies(client: StoreClient, run: Announcement) -> str | None:
    """Returns why a run's lists and registry entry are not yet on enough replicas; None if they are.

    Takes up to half a second per master while a replica is behind. Raises StoreUnreachable.
    """
    if run.replicas == 0:
        return None
    with store_faults():
        found = {
            master.address: _copies(master, tags[0], run.replicas)
            for master in masters_of(client)
            if (tags := [tag for tag in (*run.tags, run.product) if master.holds(tag)])
        }
    few = [f"{copies} of {address or 'the master'}" for address, copies in found.items() if copies < run.replicas]
    return f"{run.replicas} replicas of each master must have all of it, {', '.join(few)} have" if few else None


def require_copies(client: StoreClient, run: Announcement, *, seconds: float = 30.0) -> None:
    """Waits until everything written for a run so far is on enough replicas.

    Raises StoreRefused after `seconds`, and StoreUnreachable.
    """
    deadline = time.monotonic() + seconds
    while why := missing_copies(client, run):
        if time.monotonic() > deadline:
            raise StoreRefused(f"run {run.run}: {why}; start the replicas, or lower publish.redis_replicas")
        time.sleep(_PAUSE_SECONDS)


def damaged_partitions(store: RedisStore, run: Announcement) -> tuple[int, ...]:
    """Returns the partitions of a formerly READY run that are not VERIFIED now, because Redis lost writes.

    A loader reloads them by itself as long as the topic still has the run. Raises StoreUnreachable.
    """
    return damaged(store.progress(run))


def damaged(partitions: Iterable[PartitionStatus]) -> tuple[int, ...]:
    """Returns the numbers of the partitions that are not VERIFIED."""
    return tuple(part.partition for part in partitions if not part.is_verified)


def _copies(master: MasterServer, tag: str, wanted: int) -> int:
    """Returns how many replicas have everything written to a master so far.

    Both commands use one connection, because WAIT refers to it.
    """
    with master.client.pipeline(transaction=False) as pipe:
        pipe.incr(synced_key(tag))
        pipe.wait(wanted, _WAIT_MILLISECONDS)
        return int(pipe.execute()[-1])
