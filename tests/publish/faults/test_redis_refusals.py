"""Faults 18 and 19: a Redis that is full, may evict, is read-only, loads, cannot save, or does not answer."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from conf.connections import KafkaConnection, RedisConnection
from deploy.servers.redis_server import RedisServer
from publish.connect.redis_clients import redis_client
from publish.errors import StoreRefused
from publish.load.loader import Loader
from publish.operate.wait import RunEnding
from publish.runs.pointer import PointerStore
from publish.wire.announcement import Announcement
from tests.publish.support.promise import World, kept, unchanged
from tests.publish.support.pushing import (
    await_rewritten,
    eventually,
    loading,
    messages_of,
    progress,
    send,
    wire_of,
)
from tests.publish.support.samples import Lists, closed_port
from tests.publish.support.tcp_proxy import TcpProxy


@contextmanager
def half_loaded(world: World, **changes: Any) -> Iterator[tuple[Loader, Announcement, Lists]]:
    """Half of the next run is in Redis; when the block ends, the rest was sent and the run must serve."""
    lists = world.next_lists()
    run = world.announce(lists, **changes)
    wire = wire_of(run, lists)
    with loading(world.kafka, world.client, world.product) as loader:
        send(world.kafka, run.layout.topic, wire[:300])
        eventually(lambda: progress(world.client, run) > 250 and loader.metrics.is_healthy)
        yield loader, run, lists
        send(world.kafka, run.layout.topic, wire[300:])
        assert kept(world, run, lists) is RunEnding.SERVING
    assert not messages_of(world.kafka, run.layout.dead_letter_topic)


def more(world: World, run: Announcement, lists: Lists) -> None:
    """A few records more than half, which the loader now cannot store."""
    send(world.kafka, run.layout.topic, wire_of(run, lists)[300:320])


@pytest.mark.fault(18)
def test_redis_is_full_in_the_middle_of_a_load(own_world: World) -> None:
    """18: the loader waits, loudly, until there is room; what serves is not touched."""
    with half_loaded(own_world) as (loader, run, lists):
        own_world.client.config_set("maxmemory", 1)
        more(own_world, run, lists)
        eventually(lambda: not loader.metrics.is_healthy)
        unchanged(own_world)
        own_world.client.config_set("maxmemory", "512mb")


@pytest.mark.fault(18)
def test_redis_stays_full(own_world: World) -> None:
    """18: whoever waits ends the run when it stood still for too long; that much a full Redis allows."""
    lists = own_world.next_lists()
    run = own_world.announce(lists, stall_seconds=3)
    with loading(own_world.kafka, own_world.client, own_world.product):
        send(own_world.kafka, run.layout.topic, wire_of(run, lists)[:300])
        eventually(lambda: progress(own_world.client, run) > 250)
        own_world.client.config_set("maxmemory", 1)
        send(own_world.kafka, run.layout.topic, wire_of(run, lists)[300:])
        assert kept(own_world, run, lists) is RunEnding.FAILED
        own_world.client.config_set("maxmemory", "512mb")
        assert kept(own_world, *own_world.push()) is RunEnding.SERVING


@pytest.mark.fault(18)
def test_maxmemory_is_too_small_for_the_run(own_world: World) -> None:
    """18: refused at BEGIN, before its first record."""
    client = own_world.client
    with loading(own_world.kafka, client, own_world.product):
        client.config_set("maxmemory", client.info("memory")["used_memory"] + 50_000)
        run, lists = own_world.push()
        assert kept(own_world, run, lists) is RunEnding.FAILED
        assert not client.keys(f"*:{run.run}:*")


@pytest.mark.fault(18)
def test_the_policy_is_changed_to_evict_before_a_loader_starts(own_world: World) -> None:
    """18: it refuses to start."""
    own_world.client.config_set("maxmemory-policy", "allkeys-lru")
    with pytest.raises(StoreRefused, match="maxmemory-policy allkeys-lru"):
        Loader(own_world.kafka, own_world.client, own_world.product)
    unchanged(own_world)


@pytest.mark.fault(18)
def test_the_policy_is_changed_to_evict_before_begin(own_world: World) -> None:
    """18: the run is refused, or waits for a loader that does not trust this Redis; it never serves."""
    with loading(own_world.kafka, own_world.client, own_world.product) as loader:
        eventually(lambda: loader.metrics.is_healthy)
        own_world.client.config_set("maxmemory-policy", "allkeys-lru")
        assert kept(own_world, *own_world.push(stall_seconds=3)) is RunEnding.FAILED
        eventually(lambda: not loader.metrics.is_healthy)
        own_world.client.config_set("maxmemory-policy", "noeviction")
        assert kept(own_world, *own_world.push()) is RunEnding.SERVING


@pytest.mark.fault(18)
def test_the_policy_is_changed_to_evict_in_the_middle_of_a_load(own_world: World) -> None:
    """18: nothing is promoted while Redis may throw lists away, and the loader says that it is not well."""
    with half_loaded(own_world) as (loader, run, lists):
        own_world.client.config_set("maxmemory-policy", "allkeys-lru")
        send(own_world.kafka, run.layout.topic, wire_of(run, lists)[300:])
        eventually(lambda: not loader.metrics.is_healthy)
        time.sleep(1)
        assert PointerStore(own_world.client, own_world.product).read().treatment != run.run
        unchanged(own_world)
        own_world.client.config_set("maxmemory-policy", "noeviction")


@pytest.mark.fault(18)
def test_lists_are_evicted_in_the_middle_of_a_load(own_world: World) -> None:
    """18: read-back finds the hole that counting what arrived does not."""
    lists = own_world.next_lists()
    run = own_world.announce(lists)
    wire = wire_of(run, lists)
    with loading(own_world.kafka, own_world.client, own_world.product):
        send(own_world.kafka, run.layout.topic, wire[: -run.partitions])
        eventually(lambda: progress(own_world.client, run) == len(lists))
        own_world.client.delete(run.layout.bucket(run.run, *run.layout.place_of(5)))  # as eviction would
        send(own_world.kafka, run.layout.topic, wire[-run.partitions :])
        assert kept(own_world, run, lists) is RunEnding.FAILED


def become_a_replica(client: redis.Redis, _: Path) -> Callable[[], object]:
    """READONLY: as after a fail-over that the client has not noticed."""
    client.replicaof("127.0.0.1", closed_port())
    return lambda: client.replicaof("NO", "ONE")


def fail_to_save(client: redis.Redis, folder: Path) -> Callable[[], object]:
    """MISCONF: a snapshot could not be written, and writes are refused."""
    before = client.config_get("dir")["dir"]
    (folder / "gone").mkdir()
    client.config_set("dir", str(folder / "gone"))
    (folder / "gone").rmdir()
    client.config_set("save", "3600 1")
    client.bgsave()
    eventually(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")

    def mend() -> None:
        client.config_set("dir", before)
        client.config_set("save", "")

    return mend


def forbid_scripts(client: redis.Redis, _: Path) -> Callable[[], object]:
    """NOPERM: somebody took a right away."""
    client.acl_setuser("default", commands=["-evalsha", "-eval"])
    return lambda: client.acl_setuser("default", commands=["+evalsha", "+eval"])


@pytest.mark.fault(19)
@pytest.mark.parametrize("refuse", [become_a_replica, fail_to_save, forbid_scripts], ids=lambda f: f.__name__)
def test_redis_refuses_writes_for_a_while(
    own_world: World, tmp_path: Path, refuse: Callable[[redis.Redis, Path], Callable[[], object]]
) -> None:
    """19: no record is blamed for it; the loader waits and goes on, and readers read all the time."""
    with half_loaded(own_world) as (loader, run, lists):
        mend = refuse(own_world.client, tmp_path)
        more(own_world, run, lists)
        eventually(lambda: not loader.metrics.is_healthy)
        unchanged(own_world)
        mend()


@pytest.mark.fault(19)
def test_redis_loads_its_file_for_a_while(kafka: KafkaConnection, tmp_path: Path) -> None:
    """19: LOADING, after a restart with much to read."""
    slow = {"key-load-delay": "20", "rdbcompression": "no"}  # microseconds
    with RedisServer(tmp_path / "slow", settings=slow) as server:
        client = redis_client(RedisConnection.of(server.url), timeout=60)
        world = World.new(kafka, client)
        with loading(kafka, client, world.product):
            world.serve()
        with half_loaded(world) as (loader, _, _):
            client.execute_command("DEBUG", "POPULATE", 40_000, "ballast", 200)  # Redis answers after every 2 MB
            client.bgrewriteaof()
            await_rewritten(client)
            eventually(lambda: _refuses_when_started(server))
            server.wait_until_ready()
            eventually(lambda: loader.metrics.is_healthy)
            unchanged(world)
        client.close()


def _refuses_when_started(server: RedisServer) -> bool:
    """Whether it was seen to load its file; on a busy machine it may have loaded it before anybody asks."""
    server.kill()
    server.launch()
    with redis.Redis.from_url(server.url, retry=None) as client:
        while True:
            try:
                client.ping()
            except redis.exceptions.BusyLoadingError:
                return True
            except redis.ConnectionError:
                time.sleep(0.002)
            else:
                return False


@pytest.mark.fault(19)
@pytest.mark.parametrize("how", ["held", "cut"])
def test_answers_of_redis_are_lost_for_a_while(own_world: World, own_redis: RedisServer, how: str) -> None:
    """19: time-outs and broken connections: a write whose answer is lost was made or not, and either is survived."""
    lists = own_world.next_lists()
    run = own_world.announce(lists)
    wire = wire_of(run, lists)
    with TcpProxy(own_redis.ports[0]) as proxy:
        client = redis_client(RedisConnection.of(f"redis://127.0.0.1:{proxy.port}/0"), timeout=0.5)
        with loading(own_world.kafka, client, own_world.product) as loader:
            eventually(lambda: loader.metrics.is_healthy)
            for start in range(0, len(wire), 200):
                send(own_world.kafka, run.layout.topic, wire[start : start + 100])
                if how == "held":
                    proxy.hold_answers()
                else:
                    proxy.cut()
                send(own_world.kafka, run.layout.topic, wire[start + 100 : start + 200])
                eventually(lambda: not loader.metrics.is_healthy)
                proxy.release()
                eventually(lambda: loader.metrics.is_healthy)
            assert kept(own_world, run, lists) is RunEnding.SERVING
        client.close()
    assert not messages_of(own_world.kafka, run.layout.dead_letter_topic)


def test_the_proxy_passes_bytes_and_stops_them(own_redis: RedisServer) -> None:
    with TcpProxy(own_redis.ports[0]) as proxy:
        client = redis.Redis(port=proxy.port, retry=None)
        assert client.ping()
        proxy.hold_answers()
        with redis.Redis(port=proxy.port, socket_timeout=0.3, retry=None) as hasty, pytest.raises(redis.TimeoutError):
            hasty.ping()
        proxy.cut()
        with pytest.raises(redis.ConnectionError):
            client.ping()
        proxy.release()
        assert client.ping()
