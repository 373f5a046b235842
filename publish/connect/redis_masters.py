"""The masters of a store, for questions to each server: its memory, its replicas."""

from collections import defaultdict
from dataclasses import dataclass

import redis
from redis.cluster import ClusterNode

from publish.connect.redis_clients import StoreClient
from publish.wire.keys import SLOTS, slot_of

ALL_SLOTS = frozenset(range(SLOTS))


@dataclass(frozen=True)
class MasterServer:
    """A Redis server that accepts writes."""

    address: str
    """host:port; empty if the store has only one server."""
    client: redis.Redis
    """A client of this server only."""
    slots: frozenset[int]

    def holds(self, tag: str) -> bool:
        """Returns whether keys with this hash tag are stored on this server."""
        return slot_of(tag) in self.slots


def masters_of(client: StoreClient) -> tuple[MasterServer, ...]:
    """Returns every master with the hash slots it serves now; raises redis-py's errors."""
    if not isinstance(client, redis.RedisCluster):
        return (MasterServer("", client, ALL_SLOTS),)
    client.nodes_manager.initialize()  # its cached slots may be from before a fail-over
    slots: dict[ClusterNode, set[int]] = defaultdict(set)
    for slot, (master, *_) in client.nodes_manager.slots_cache.items():
        slots[master].add(slot)
    return tuple(
        MasterServer(node.name, client.get_redis_connection(node), frozenset(its)) for node, its in slots.items()
    )
