"""Ways to Redis: one server, a socket, a cluster, Sentinels; what is said when one of them does not work."""

import traceback
from pathlib import Path
from typing import Any

import pytest
import redis
from pydantic import SecretStr
from redis.backoff import NoBackoff
from redis.retry import Retry

from conf.connections import KafkaConnection, RedisConnection
from deploy.servers.redis_server import RedisServer
from publish.connect.redis_clients import redis_client
from publish.connect.store_scripts import store_faults
from publish.errors import StoreUnreachable
from publish.load import load_partition
from publish.operate.wait import RunEnding
from publish.store.redis_store import RedisStore
from tests.publish.support.pushing import (
    announce,
    ending_of,
    expected,
    lists_of,
    loading,
    new_product,
    send,
    served,
    wire_of,
)
from tests.publish.support.samples import closed_port
from tests.support.redis_cluster import RedisCluster

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    "url",
    [
        "redis+cluster://eva:{s}@127.0.0.1:{port},127.0.0.1:{port}",
        "redis+sentinel://eva:{s}@127.0.0.1:{port}/lists/0",
        "redis+sentinel://127.0.0.1:{port}/lists?sentinel_password={s}",
        "rediss+cluster://:{s}@127.0.0.1:{port}",
        "unix://:{s}@/nowhere/redis.sock",
    ],
)
def test_a_store_that_cannot_be_reached_is_a_clear_error_without_secrets(url: str) -> None:
    with pytest.raises(StoreUnreachable) as caught:
        redis_client(RedisConnection.of(url.format(s=SECRET, port=closed_port())), timeout=0.5)
    shown = "".join(traceback.format_exception(caught.value))
    assert "Redis" in shown or "REDIS_URL" in shown
    assert SECRET not in shown


def test_a_socket_and_credentials_outside_the_url(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis", settings={"unixsocket": "redis.sock"}) as server:
        with redis.Redis.from_url(server.url) as client:
            client.execute_command("ACL", "SETUSER", "eva", "on", f">{SECRET}", "~*", "+@all")
        url = f"unix://{server.folder / 'redis.sock'}"
        with redis_client(RedisConnection(url=SecretStr(url), username="eva", password=SecretStr(SECRET))) as client:
            assert client.acl_whoami() == "eva"
        with pytest.raises(StoreUnreachable, match="user or password"):
            redis_client(RedisConnection(url=SecretStr(url), username="eva", password=SecretStr("other")))


def test_a_cluster_that_is_down_is_a_fault_like_any_other(tmp_path: Path) -> None:
    with RedisCluster(tmp_path, masters=1) as cluster:
        with redis.Redis(port=cluster.nodes[0].ports[0]) as node:
            node.execute_command("ACL", "SETUSER", "eva", "on", f">{SECRET}", "~*", "+@all")
        url = cluster.url.replace("//", f"//eva:{SECRET}@")
        client = redis_client(RedisConnection.of(url), timeout=60)
        client.set("k", b"\xff")
        assert client.get("k") == b"\xff"
        url = cluster.url.replace("//", f"//eva:{SECRET[::-1]}@")
        with pytest.raises(StoreUnreachable, match="user or password") as caught:
            redis_client(RedisConnection.of(url), timeout=60)
        assert SECRET[::-1] not in "".join(traceback.format_exception(caught.value))
        with redis.Redis(port=cluster.nodes[0].ports[0]) as node:
            node.execute_command("ACL", "SETUSER", "eva", "-cluster")
            with pytest.raises(StoreUnreachable, match="does not allow this user"):
                redis_client(RedisConnection.of(cluster.url.replace("//", f"//eva:{SECRET}@")), timeout=60)
            node.execute_command("ACL", "SETUSER", "eva", "+cluster")
        cluster.nodes[0].kill()
        with pytest.raises(StoreUnreachable), store_faults():
            client.get("k")
        pipe = client.pipeline(transaction=False).get("k")
        with pytest.raises(StoreUnreachable), store_faults():
            pipe.execute()
        client.close()


def test_a_single_server_is_not_taken_for_a_cluster(redis_url: str) -> None:
    with pytest.raises(StoreUnreachable, match="is not a cluster; use redis://"):
        redis_client(RedisConnection.of(redis_url.replace("redis://", "redis+cluster://")))


class Forgetful(redis.Connection):
    """Loses the answer to every thirtieth batch after Redis has done what it was asked."""

    answers = lost = 0

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        reply = super().read_response(*args, **kwargs)
        if isinstance(reply, list) and reply[:1] == [b"LOADED"]:
            Forgetful.answers += 1
            if Forgetful.answers % 30 == 0:
                Forgetful.lost += 1
                self.disconnect()
                raise redis.ConnectionError("the answer was lost")
        return reply


def test_batches_whose_answer_was_lost_are_loaded_once(
    kafka: KafkaConnection, clean_redis: redis.Redis, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_partition, "MAX_BATCH", 10)
    Forgetful.answers = Forgetful.lost = 0
    pool = redis.ConnectionPool(
        connection_class=Forgetful, host="127.0.0.1", port=redis_server.ports[0], retry=Retry(NoBackoff(), 3)
    )
    product, lists = new_product(kafka), lists_of(1_000)
    run = announce(clean_redis, product, lists, first=True)
    send(kafka, run.layout.topic, wire_of(run, lists))
    with redis.Redis(connection_pool=pool) as client, loading(kafka, client, product):
        assert ending_of(clean_redis, run).ending is RunEnding.SERVING
    assert Forgetful.lost > 0
    assert served(clean_redis, product, range(1_000)) == expected(run, lists)
    assert sum(part.loaded for part in RedisStore(clean_redis).progress(run)) == 1_000
