"""Looking at a run on a Redis Cluster: which node holds what."""

import redis

from conf.connections import KafkaConnection
from deploy.servers.redis_server import RedisServer
from publish.connect.redis_clients import StoreClient
from publish.operate.wait import RunEnding
from publish.wire.announcement import Announcement
from publish.wire.keys import slot_of
from tests.publish.support.pushing import announce, ending_of, lists_of, loading, send, wire_of
from tests.support.redis_cluster import RedisCluster, client_of


def serving(kafka: KafkaConnection, store: StoreClient, product: str, users: int, **changes: object) -> Announcement:
    """A run that a loader has brought to serve."""
    run, lists = announce(store, product, lists_of(users), **changes), lists_of(users)
    send(kafka, run.layout.topic, wire_of(run, lists))
    with loading(kafka, store, product):
        assert ending_of(store, run).ending is RunEnding.SERVING
    return run


def masters(cluster: RedisCluster, run: Announcement) -> list[RedisServer]:
    """The master of each partition."""
    return [cluster.master_of(slot_of(tag)) for tag in run.tags]


def away_from_registry(cluster: RedisCluster, run: Announcement) -> int:
    """A partition that lies on another master than pointer and registry."""
    registry = cluster.master_of(slot_of(run.product))
    return next(place for place, master in enumerate(masters(cluster, run)) if master is not registry)


def position_on(node: RedisServer, run: Announcement, partition: int) -> int:
    """Where a partition stands on one node, be it a replica."""
    with redis.Redis(port=node.ports[0], single_connection_client=True) as client:
        client.execute_command("READONLY")
        return int(client.hget(run.layout.position(partition), "offset") or 0)


def answers(cluster: RedisCluster, code: str) -> int:
    """How often the nodes answered with an error of this code."""
    found = 0
    for node in cluster.nodes:
        with client_of(node) as client:
            found += client.info("errorstats").get(f"errorstat_{code}", {}).get("count", 0)
    return found


def keys_of(cluster: RedisCluster, part: str) -> set[bytes]:
    """Every key with this in its name, on every master."""
    found: set[bytes] = set()
    for node in cluster.nodes:
        with client_of(node) as client:
            if client.info("replication")["role"] == "master":
                found |= set(client.scan_iter(f"*{part}*", count=1_000))
    return found
