"""The masters of a store, for what is asked of each server: its memory, its replicas."""

from collections import defaultdict
from dataclasses import dataclass

import redis
from redis.cluster import ClusterNode

from publish.connect.redis_clients import StoreClient
from publish.wire.keys import SLOTS, slot_of

ALL_SLOTS = frozenset(range(SLOTS))


@dataclass(frozen=True)
class MasterServer:
    """A server that takes writes."""

    address: str
    """host:port; empty for a store of one server, whose address is known."""
    client: redis.Redis
    """A client of this server alone."""
    slots: frozenset[int]

    def holds(self, tag: str) -> bool:
        """Returns whether keys with this hash tag lie here."""
        return slot_of(tag) in self.slots


def masters_of(client: StoreClient) -> tuple[MasterServer, ...]:
    """Returns every master with the hash slots that it serves now; raises the faults of redis-py."""
    if not isinstance(client, redis.RedisCluster):
        return (MasterServer("", client, ALL_SLOTS),)
    client.nodes_manager.initialize()  # what it remembers may be from before a fail-over
    slots: dict[ClusterNode, set[int]] = defaultdict(set)
    for slot, (master, *_) in client.nodes_manager.slots_cache.items():
        slots[master].add(slot)
    return tuple(
        MasterServer(node.name, client.get_redis_connection(node), frozenset(its)) for node, its in slots.items()
    )
