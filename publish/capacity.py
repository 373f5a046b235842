"""Whether a run fits into Redis, and whether that Redis keeps what it is given."""

import logging
from dataclasses import dataclass

import redis

from conf.base import format_bytes
from publish.announcement import Announcement
from publish.errors import StoreRefused
from publish.keys import Layout
from publish.store_scripts import store_faults

_LOG = logging.getLogger(__name__)

MEMORY_SHARE = 0.8
"""Share of maxmemory that lists may fill; the rest is for buffers, fragmentation and the append-only file's rewrite."""
SAFETY = 1.25
"""Factor on the estimate of a run."""
_FIELD_OVERHEAD = 8  # lengths before and after key and value in a listpack
_BUCKET_OVERHEAD = 200  # key, dictionary entry, object header, rounding of the allocator
_RUN_OVERHEAD = 4096  # bitmap, state and position of a partition beside their bits


@dataclass(frozen=True)
class StoreLimits:
    """What a Redis server says about itself; bytes."""

    used: int
    maxmemory: int
    policy: str
    compact_value: int | None
    """Largest value that a hash keeps in its compact form; None where the server does not tell."""

    @property
    def room(self) -> int:
        """Bytes that may still be filled; negative when there is too much already."""
        return int(self.maxmemory * MEMORY_SHARE) - self.used


@dataclass(frozen=True)
class DeclaredLimits:
    """What an operator knows of a Redis that does not tell (INFO or CONFIG forbidden)."""

    maxmemory: int | None = None
    """Bytes."""
    policy: str | None = None
    """maxmemory-policy."""


NOTHING_DECLARED = DeclaredLimits()


def read_limits(client: redis.Redis, declared: DeclaredLimits = NOTHING_DECLARED) -> StoreLimits:
    """The limits of a server; what it does not tell is taken as declared; raises StoreRefused and StoreUnreachable."""
    with store_faults():
        info = client.info("memory")
        compact = _compact_value(client)
    maxmemory, policy = info.get("maxmemory", declared.maxmemory), info.get("maxmemory_policy", declared.policy)
    if maxmemory is None or policy is None:
        raise StoreRefused("Redis does not tell maxmemory and maxmemory-policy: allow INFO, or declare both")
    return StoreLimits(int(info["used_memory"]), int(maxmemory), str(policy), compact)


def check_store(client: redis.Redis, declared: DeclaredLimits = NOTHING_DECLARED) -> StoreLimits:
    """The limits of a Redis that refuses writes when full and evicts nothing; raises StoreRefused for any other."""
    limits = read_limits(client, declared)
    if limits.maxmemory <= 0:
        raise StoreRefused(
            "Redis has maxmemory 0 (no limit), so that the machine's memory would be the limit: set maxmemory"
        )
    if limits.policy != "noeviction":
        raise StoreRefused(
            f"Redis has maxmemory-policy {limits.policy} and would throw lists away when full: set it to noeviction"
        )
    return limits


def estimate_bytes(run: Announcement) -> int:
    """Bytes that a run needs in Redis, from its announcement."""
    return estimate_lists(run.users, run.total_bytes, run.layout)


def estimate_lists(users: int, size: int, layout: Layout) -> int:
    """Bytes that so many lists need in Redis; `size`: bytes of their keys and payloads."""
    buckets = layout.partitions * min(layout.buckets, max(1, users))
    return size + users * _FIELD_OVERHEAD + users // 8 + buckets * _BUCKET_OVERHEAD + layout.partitions * _RUN_OVERHEAD


def shortage(run: Announcement, limits: StoreLimits) -> str | None:
    """Why the run does not fit, with the numbers; None when it does."""
    needed = int(SAFETY * estimate_bytes(run))
    if needed <= limits.room:
        return None
    return (
        f"run {run.run} does not fit into Redis: it needs about {format_bytes(needed)} ({run.users} users), used are "
        f"{format_bytes(limits.used)}, and {MEMORY_SHARE:.0%} of maxmemory {format_bytes(limits.maxmemory)} may be "
        "filled; give Redis more memory, or clear runs"
    )


def warn_of_wide_values(run: Announcement, limits: StoreLimits) -> None:
    """Say so when values are too long for Redis' compact hashes: they still work, and take about twice the memory."""
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
    """`hash-max-listpack-value`, which Redis 6 calls ziplist and Redis 7 knows by both names; None where forbidden."""
    try:
        value = client.config_get("hash-max-ziplist-value").get("hash-max-ziplist-value")
    except redis.ResponseError:
        return None
    return None if value is None else int(value)
