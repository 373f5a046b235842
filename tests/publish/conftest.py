"""A real Redis Cluster for the tests of this room, started when first asked for, and a brake for loaders."""

from collections.abc import Iterator

import pytest

from conf.connections import RedisConnection
from publish.connect.redis_clients import StoreClient, redis_client
from tests.publish.support import pushing
from tests.publish.support.pace import Pace
from tests.support.redis_cluster import RedisCluster


@pytest.fixture(scope="session")
def cluster_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """Three masters with a replica each."""
    with RedisCluster(tmp_path_factory.mktemp("cluster"), replicas=True) as cluster:
        yield cluster


@pytest.fixture
def cluster(cluster_nodes: RedisCluster) -> RedisCluster:
    """The session's cluster, whole again after what the test before did to it."""
    for node in cluster_nodes.nodes:
        node.start()
    cluster_nodes.wait_until_whole()
    return cluster_nodes


@pytest.fixture
def store(cluster: RedisCluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[StoreClient]:
    """A client of the cluster, for products of eight partitions."""
    monkeypatch.setattr(pushing, "PARTITIONS", 8)
    with redis_client(RedisConnection.of(cluster.url)) as client:
        yield client


@pytest.fixture
def pace(monkeypatch: pytest.MonkeyPatch) -> Pace:
    """The brake of this test's loaders."""
    return Pace(monkeypatch)
