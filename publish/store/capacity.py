"""Checks whether a run fits into Redis, and whether that Redis would drop data."""

import logging
from dataclasses import dataclass

import redis

from conf.base import format_bytes
from conf.settings import PublishSettings
from publish.connect.redis_clients import StoreClient
from publish.connect.redis_masters import ALL_SLOTS, masters_of
from publish.connect.store_scripts import store_faults
from publish.errors import StoreRefused
from publish.wire.announcement import Announcement
from publish.wire.keys import SLOTS, Layout, slot_of

_LOG = logging.getLogger(__name__)

MEMORY_SHARE = 0.8
"""Share of maxmemory that lists may fill; the rest is for buffers, fragmentation and append-only file rewrites."""
SAFETY = 1.25
"""Safety factor on the memory estimate of a run."""
_KEEPS_ALL = "noeviction"
_FIELD_OVERHEAD = 8  # bytes: lengths before and after key and value in a listpack
_BUCKET_OVERHEAD = 200  # bytes: key, dictionary entry, object header, rounding of the allocator
_RUN_OVERHEAD = 4096  # bytes: fixed part of a partition's bitmap, state and position


@dataclass(frozen=True)
class Master:
    """One server that accepts writes: its memory in bytes and its hash slots."""

    address: str
    used: int
    maxmemory: int
    slots: frozenset[int] = ALL_SLOTS

    @property
    def room(self) -> int:
        """Bytes that may still be filled; negative if it is over the limit."""
        return int(self.maxmemory * MEMORY_SHARE) - self.used

    def partitions_of(self, layout: Layout) -> tuple[int, ...]:
        """Returns the partitions whose keys are stored here."""
        return tuple(place for place, tag in enumerate(layout.tags) if slot_of(tag) in self.slots)


@dataclass(frozen=True)
class StoreLimits:
    """Memory and eviction policy of a Redis; bytes, summed over all masters."""

    used: int
    maxmemory: int
    policy: str
    compact_value: int | None
    """Largest value in bytes that a hash keeps in its compact form; None if the server does not reveal it."""
    masters: tuple[Master, ...] = ()
    """Each master of a Redis Cluster; empty for a single server."""

    @property
    def fault(self) -> str | None:
        """Why this Redis is not safe for lists, and what to set; None if it is safe."""
        if self.maxmemory <= 0:
            return "Redis has maxmemory 0 (no limit), so that the machine's memory would be the limit: set maxmemory"
        if self.policy != _KEEPS_ALL:
            return (
                f"Redis has maxmemory-policy {self.policy} and would throw lists away when full: set it to noeviction"
            )
        return None

    @property
    def each(self) -> tuple[Master, ...]:
        """Every server that accepts writes."""
        return self.masters or (Master("", self.used, self.maxmemory),)

    @property
    def capacity(self) -> int:
        """Bytes of lists that fit into the empty store if spread evenly over the slots; the smallest master decides."""
        return min(int(master.maxmemory * MEMORY_SHARE * SLOTS / len(master.slots)) for master in self.each)

    @property
    def room(self) -> int:
        """Bytes of lists that still fit if spread evenly over the slots; the fullest master decides."""
        return min(int(master.room * SLOTS / len(master.slots)) for master in self.each)


@dataclass(frozen=True)
class DeclaredLimits:
    """Limits that an operator declares for a Redis that does not reveal them (INFO or CONFIG forbidden)."""

    maxmemory: int | None = None
    """Bytes."""
    policy: str | None = None
    """maxmemory-policy."""

    @classmethod
    def of(cls, settings: PublishSettings) -> "DeclaredLimits":
        """Returns the declared limits of the settings: `publish.redis_maxmemory` and `publish.redis_policy`."""
        return cls(settings.redis_maxmemory, settings.redis_policy)


NOTHING_DECLARED = DeclaredLimits()


def read_limits(client: StoreClient, declared: DeclaredLimits = NOTHING_DECLARED) -> StoreLimits:
    """Returns the limits of a Redis, `declared` ones where it reveals none.

    Raises StoreRefused and StoreUnreachable.
    """
    with store_faults():
        if not isinstance(client, redis.RedisCluster):
            return _limits_of(client, declared)
        servers = [(master, _limits_of(master.client, declared)) for master in masters_of(client)]
    compact = [limits.compact_value for _, limits in servers if limits.compact_value is not None]
    return StoreLimits(
        used=sum(limits.used for _, limits in servers),
        maxmemory=0 if any(not limits.maxmemory for _, limits in servers) else sum(x.maxmemory for _, x in servers),
        policy=next((limits.policy for _, limits in servers if limits.policy != _KEEPS_ALL), _KEEPS_ALL),
        compact_value=min(compact, default=None),
        masters=tuple(Master(at.address, limits.used, limits.maxmemory, at.slots) for at, limits in servers),
    )


def _limits_of(server: redis.Redis, declared: DeclaredLimits) -> StoreLimits:
    info = server.info("memory")
    maxmemory, policy = info.get("maxmemory", declared.maxmemory), info.get("maxmemory_policy", declared.policy)
    if maxmemory is None or policy is None:
        raise StoreRefused("Redis does not reveal maxmemory and maxmemory-policy: allow INFO, or declare both")
    return StoreLimits(int(info["used_memory"]), int(maxmemory), str(policy), _compact_value(server))


def check_store(client: StoreClient, declared: DeclaredLimits = NOTHING_DECLARED) -> StoreLimits:
    """Returns the limits of a Redis; raises StoreRefused if it has no memory limit or would evict keys."""
    limits = read_limits(client, declared)
    if limits.fault is not None:
        raise StoreRefused(limits.fault)
    return limits


def estimate_bytes(run: Announcement) -> int:
    """Returns an estimate of the bytes that a run needs in Redis."""
    return estimate_lists(run.users, run.total_bytes, run.layout)


def estimate_lists(users: int, size: int, layout: Layout) -> int:
    """Returns an estimate of the bytes that `users` lists need in Redis; `size`: bytes of keys and payloads."""
    return _estimate(users, size, layout.partitions, layout.buckets)


def _estimate(users: int, size: int, partitions: int, buckets: int) -> int:
    hashes = partitions * min(buckets, max(1, users))
    return size + users * _FIELD_OVERHEAD + users // 8 + hashes * _BUCKET_OVERHEAD + partitions * _RUN_OVERHEAD


def shortage(run: Announcement, limits: StoreLimits) -> str | None:
    """Returns why the run does not fit, with the numbers; None if each master has room for its partitions."""
    for master in limits.each:
        pieces = [run.slices[place] for place in master.partitions_of(run.layout)]
        users, size = sum(piece.count for piece in pieces), sum(piece.bytes for piece in pieces)
        needed = int(SAFETY * _estimate(users, size, len(pieces), run.buckets))
        if needed > master.room and pieces:
            where = f"the master {master.address} of Redis" if master.address else "Redis"
            return (
                f"run {run.run} does not fit into {where}: it needs about {format_bytes(needed)} ({users} users), "
                f"used are {format_bytes(master.used)}, and {MEMORY_SHARE:.0%} of maxmemory "
                f"{format_bytes(master.maxmemory)} may be filled; give Redis more memory, or clear runs"
            )
    return None


def warn_of_wide_values(run: Announcement, limits: StoreLimits) -> None:
    """Logs a warning if values are too long for Redis' compact hashes: they take about twice the memory."""
    mean = run.total_bytes // max(1, run.users)
    if limits.compact_value is not None and mean > limits.compact_value:
        _LOG.warning(
            "run %s: a list takes %d bytes on average, more than hash-max-listpack-value %d of Redis; "
            "set it to 4096 or it needs about twice the memory",
            run.run,
            mean,
            limits.compact_value,
        )


def _compact_value(client: redis.Redis) -> int | None:
    """Returns `hash-max-listpack-value` in bytes, by the older name that all versions know; None where forbidden."""
    try:
        value = client.config_get("hash-max-ziplist-value").get("hash-max-ziplist-value")
    except redis.ResponseError:
        return None
    return None if value is None else int(value)
