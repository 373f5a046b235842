"""Faults 15 and 16: Redis killed in the middle of a load, whatever it keeps on its disk; the tail of its file cut."""

import shutil
import time

import pytest
import redis
from confluent_kafka import Consumer, TopicPartition

from conf.connections import KafkaConnection
from deploy.servers.redis_server import RedisServer
from publish.connect.clients import group_size
from publish.errors import Unavailable, UnknownRun
from publish.load.loader import Loader
from publish.load.run_cache import RunCache
from publish.operate.wait import RunEnding
from publish.read.reader import Reader
from publish.runs.registry import RunRegistry
from publish.wire.keys import ProductKeys
from tests.publish.support.promise import World, kept, unchanged
from tests.publish.support.pushing import (
    PARTITIONS,
    announce,
    await_file,
    await_rewritten,
    ending_of,
    eventually,
    lists_of,
    loading,
    messages_of,
    progress,
    send,
    wire_of,
)

snapshots_alone = pytest.mark.parametrize("own_settings", [{"appendonly": "no"}], ids=["snapshots alone"])
"""A Redis that keeps nothing but the snapshots it is told to make."""


def crash(server: RedisServer, loader: Loader) -> None:
    """Kill Redis and start it again as soon as the loader felt it."""
    eventually(lambda: loader.metrics.is_healthy)
    server.kill()
    eventually(lambda: not loader.metrics.is_healthy)
    server.start()


@pytest.mark.fault(15)
def test_redis_killed_with_an_append_only_file(own_world: World, own_redis: RedisServer) -> None:
    """15: it loses up to a second, positions and lists alike; the loader goes on from what is left."""
    world, lists = own_world, own_world.next_lists()
    run = world.announce(lists)
    wire = wire_of(run, lists)
    await_file(world.client)  # the announcement must survive
    with loading(world.kafka, world.client, world.product) as loader:
        send(world.kafka, run.layout.topic, wire[:300])
        eventually(lambda: progress(world.client, run) > 200)
        crash(own_redis, loader)
        unchanged(world)
        send(world.kafka, run.layout.topic, wire[300:])
        assert kept(world, run, lists) is RunEnding.SERVING
    assert not messages_of(world.kafka, run.layout.dead_letter_topic)


@pytest.mark.fault(15)
@snapshots_alone
def test_redis_killed_with_nothing_but_an_older_snapshot(own_world: World, own_redis: RedisServer) -> None:
    """15: it wakes up in the past, where fewer lists were loaded and the position says so."""
    world, lists = own_world, own_world.next_lists()
    run = world.announce(lists)
    wire = wire_of(run, lists)
    with loading(world.kafka, world.client, world.product) as loader:
        send(world.kafka, run.layout.topic, wire[:200])
        eventually(lambda: progress(world.client, run) > 150)
        world.client.save()
        send(world.kafka, run.layout.topic, wire[200:400])
        eventually(lambda: progress(world.client, run) > 350)
        crash(own_redis, loader)
        send(world.kafka, run.layout.topic, wire[400:])
        assert kept(world, run, lists) is RunEnding.SERVING


@pytest.mark.fault(15)
@snapshots_alone
def test_offsets_in_kafka_are_not_believed(own_world: World, own_redis: RedisServer) -> None:
    """15: the group's offsets, which loaders commit for dashboards, stand past lists that Redis has lost."""
    world, lists = own_world, own_world.next_lists()
    run = world.announce(lists)
    world.client.save()
    wire = wire_of(run, lists)
    with loading(world.kafka, world.client, world.product):
        send(world.kafka, run.layout.topic, wire[:400])
        eventually(lambda: progress(world.client, run) > 350)
    commit_all(world)
    own_redis.kill()
    own_redis.start()
    with loading(world.kafka, world.client, world.product):
        send(world.kafka, run.layout.topic, wire[400:])
        assert kept(world, run, lists) is RunEnding.SERVING


def commit_all(world: World) -> None:
    """Commit the ends of the topic for the loaders' group, which has no member now."""
    keys = ProductKeys(world.product)
    eventually(lambda: group_size(world.kafka, keys.loader_group) == 0)
    consumer = Consumer({"bootstrap.servers": world.kafka.servers, "group.id": keys.loader_group})
    ends = []
    for partition in range(PARTITIONS):
        where = TopicPartition(keys.topic, partition)
        ends.append(TopicPartition(keys.topic, partition, consumer.get_watermark_offsets(where, timeout=10)[1]))
    consumer.commit(offsets=ends, asynchronous=False)
    consumer.close()


@pytest.mark.fault(15)
@snapshots_alone
def test_redis_wakes_up_before_the_run_was_announced(own_world: World, own_redis: RedisServer) -> None:
    """15: nobody knows the run any more; whoever waits is told, and the next run, of the same epoch, serves exactly."""
    world, lists = own_world, own_world.next_lists()
    world.client.save()
    lost = world.announce(lists)
    with loading(world.kafka, world.client, world.product) as loader:
        send(world.kafka, lost.layout.topic, wire_of(lost, lists)[:300])
        eventually(lambda: progress(world.client, lost) > 200)
        crash(own_redis, loader)
        with pytest.raises(UnknownRun):
            ending_of(world.client, lost)
        unchanged(world)
        send(world.kafka, lost.layout.topic, wire_of(lost, lists)[300:])
        run, others = world.push(lists | {7: [70]})
        assert run.epoch == lost.epoch
        assert kept(world, run, others) is RunEnding.SERVING


@pytest.mark.fault(15)
def test_an_epoch_that_was_nobodys_is_given_out_again(client: redis.Redis) -> None:
    """15: what a loader remembers of a lost run is not held against the next run of the same epoch."""
    product = "given_out_again"
    client.delete(f"{{{product}}}:runs", f"{{{product}}}:epoch")
    epoch = announce(client, product, lists_of(20)).epoch + 1
    run_cache = RunCache(RunRegistry(client, product))
    assert run_cache.find(epoch) is None
    run = announce(client, product, lists_of(20))
    assert run.epoch == epoch
    found = run_cache.find_fresh(epoch)
    assert found is not None
    assert found.name == run.run


@pytest.mark.fault(15)
@snapshots_alone
def test_redis_wakes_up_before_the_swap(own_world: World, own_redis: RedisServer) -> None:
    """15: a run that served already is brought back from the topic."""
    world, lists = own_world, own_world.next_lists()
    run = world.announce(lists)
    world.client.save()
    with loading(world.kafka, world.client, world.product) as loader:
        send(world.kafka, run.layout.topic, wire_of(run, lists))
        assert kept(world, run, lists) is RunEnding.SERVING
        crash(own_redis, loader)
        assert kept(world, run, lists) is RunEnding.SERVING


@pytest.mark.fault(15)
def test_redis_comes_back_with_an_empty_disk(own_world: World, own_redis: RedisServer) -> None:
    """15: readers are told so, the loader waits and buries nothing."""
    world, lists = own_world, own_world.next_lists()
    run = world.announce(lists)
    with loading(world.kafka, world.client, world.product) as loader:
        send(world.kafka, run.layout.topic, wire_of(run, lists)[:300])
        eventually(lambda: progress(world.client, run) > 200)
        own_redis.kill()
        for kept_file in own_redis.folder.glob("*.aof"):
            kept_file.unlink()
        shutil.rmtree(own_redis.folder / "appendonlydir", ignore_errors=True)
        eventually(lambda: not loader.metrics.is_healthy)
        own_redis.start()
        send(world.kafka, run.layout.topic, wire_of(run, lists)[300:])
        time.sleep(1)
        with pytest.raises(Unavailable):
            Reader(world.client, world.product).lookup(1)
        with pytest.raises(UnknownRun):
            ending_of(world.client, run)
        assert not loader.metrics.is_healthy
        assert not world.client.keys(f"*:{run.run}:*")
    assert not messages_of(world.kafka, run.layout.dead_letter_topic)


@pytest.mark.fault(15)
def test_an_empty_redis_is_given_back_what_it_had(kafka: KafkaConnection, own_client: redis.Redis) -> None:
    """15: nothing was dead-lettered meanwhile, so all of the run is still to come."""
    world = World.new(kafka, own_client)
    run, lists = world.push()
    saved = own_client.hgetall(run.layout.runs), own_client.get(run.layout.epoch)
    own_client.flushall()
    with loading(kafka, own_client, world.product) as loader:
        eventually(lambda: loader.metrics.registry.get_sample_value(
            "discovery_loader_faults_total", {"product": world.product}) != 0)  # fmt: skip
        assert not messages_of(kafka, run.layout.dead_letter_topic)
        own_client.hset(run.layout.runs, mapping=saved[0])
        own_client.set(run.layout.epoch, saved[1])
        assert kept(world, run, lists) is RunEnding.SERVING


@pytest.mark.fault(16)
@pytest.mark.parametrize("lost", [1, 700, 12_000, 40_000])
def test_the_tail_of_the_file_is_cut(own_world: World, own_redis: RedisServer, lost: int) -> None:
    """16: so many bytes of the last commands are gone: the loader goes on from the position before them."""
    world, lists = own_world, own_world.next_lists()
    world.client.config_set("appendfsync", "always")
    world.client.bgrewriteaof()  # so that what is cut is of the second run
    await_rewritten(world.client)
    run = world.announce(lists)
    eventually(lambda: len(list(own_redis.folder.glob("**/*.aof"))) == 1)  # the old one goes a moment later
    (file,) = own_redis.folder.glob("**/*.aof")
    announced = file.stat().st_size
    with loading(world.kafka, world.client, world.product) as loader:
        send(world.kafka, run.layout.topic, wire_of(run, lists))
        assert kept(world, run, lists) is RunEnding.SERVING
        own_redis.kill()
        size = file.stat().st_size
        with file.open("ab") as tail:
            tail.truncate(max(announced, size - lost))
        eventually(lambda: not loader.metrics.is_healthy)
        own_redis.start()
        assert kept(world, run, lists) is RunEnding.SERVING
        assert kept(world, *world.push()) is RunEnding.SERVING
