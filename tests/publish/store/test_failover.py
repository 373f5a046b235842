"""Masters of a Redis Cluster that die, and replicas without their last writes that take over (fault 17)."""

import pytest

from conf.connections import KafkaConnection
from publish.connect.redis_clients import StoreClient
from publish.errors import StoreRefused
from publish.operate.wait import RunEnding
from publish.runs.pointer import PointerStore
from publish.runs.registry import RunRegistry
from publish.runs.run import RunState
from publish.store.durability import damaged_partitions, missing_copies, require_copies
from publish.store.redis_store import RedisStore
from publish.wire.keys import slot_of
from tests.publish.support.clustered import away_from_registry, masters, position_on, serving
from tests.publish.support.pace import Pace
from tests.publish.support.pushing import (
    agrees,
    announce,
    ending_of,
    eventually,
    expected,
    lists_of,
    load_directly,
    loading,
    messages_of,
    new_product,
    send,
    served,
    wire_of,
)
from tests.support.redis_cluster import RedisCluster

USERS = 1_200
SOME = list(range(0, USERS, 37))


@pytest.mark.fault(17)
@pytest.mark.parametrize("with_registry", [False, True], ids=["lists", "lists-and-registry"])
def test_a_fail_over_that_loses_the_last_writes_of_a_load(
    kafka: KafkaConnection, cluster: RedisCluster, store: StoreClient, pace: Pace, *, with_registry: bool
) -> None:
    product = new_product(kafka)
    before = serving(kafka, store, product, USERS, first=True)
    lists = lists_of(USERS, shift=5)
    run = announce(store, product, lists)
    holders = masters(cluster, run)
    registry = cluster.master_of(slot_of(product))
    place = holders.index(registry) if with_registry else away_from_registry(cluster, run)
    master, replica = holders[place], cluster.replica_of(holders[place])
    pace.hold(place, after=4)
    with loading(kafka, store, product):
        send(kafka, run.layout.topic, wire_of(run, lists))
        pace.wait_until_held()
        with cluster.cut_off(replica):
            pace.hold(place, after=4)
            pace.wait_until_held()
            assert position_on(replica, run, place) < position_on(master, run, place)
            master.kill()
            cluster.take_over(replica)
        pace.release()
        assert served(store, product, SOME).items() <= expected(before, lists_of(USERS)).items()
        assert ending_of(store, run).ending is RunEnding.SERVING
    assert served(store, product, range(USERS)) == expected(run, lists)
    assert not damaged_partitions(RedisStore(store), run)
    assert not messages_of(kafka, run.layout.dead_letter_topic)
    agrees(store, product)


@pytest.mark.fault(17)
def test_a_fail_over_that_loses_lists_that_serve_is_told_and_healed(
    kafka: KafkaConnection, cluster: RedisCluster, store: StoreClient, caplog: pytest.LogCaptureFixture
) -> None:
    product, lists = new_product(kafka), lists_of(USERS)
    run = announce(store, product, lists, first=True)
    place = away_from_registry(cluster, run)
    master = masters(cluster, run)[place]
    replica = cluster.replica_of(master)
    with cluster.cut_off(replica):
        send(kafka, run.layout.topic, wire_of(run, lists))
        with loading(kafka, store, product):
            assert ending_of(store, run).ending is RunEnding.SERVING
        lost = tuple(number for number, holder in enumerate(masters(cluster, run)) if holder is master)
        master.kill()
        cluster.take_over(replica)
    assert damaged_partitions(RedisStore(store), run) == lost
    assert served(store, product, range(USERS)) != expected(run, lists)
    with loading(kafka, store, product):
        eventually(lambda: not damaged_partitions(RedisStore(store), run))
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert f"run {run.run} was READY, and Redis lost lists of partitions {list(lost)}; loading them again" in errors
    assert served(store, product, range(USERS)) == expected(run, lists)
    agrees(store, product)


@pytest.mark.fault(17)
def test_a_loader_notices_a_fail_over_although_no_record_comes(
    kafka: KafkaConnection, cluster: RedisCluster, store: StoreClient
) -> None:
    product, lists = new_product(kafka), lists_of(USERS)
    run = announce(store, product, lists, first=True)
    master = masters(cluster, run)[away_from_registry(cluster, run)]
    replica = cluster.replica_of(master)
    with loading(kafka, store, product), cluster.cut_off(replica):
        send(kafka, run.layout.topic, wire_of(run, lists))
        assert ending_of(store, run).ending is RunEnding.SERVING
        master.kill()
        cluster.take_over(replica)
        assert damaged_partitions(RedisStore(store), run)
        eventually(lambda: not damaged_partitions(RedisStore(store), run))
    assert served(store, product, range(USERS)) == expected(run, lists)
    agrees(store, product)


def test_no_run_serves_before_the_replicas_have_it(
    kafka: KafkaConnection, cluster: RedisCluster, store: StoreClient, caplog: pytest.LogCaptureFixture
) -> None:
    product, lists = new_product(kafka), lists_of(USERS)
    run = announce(store, product, lists, first=True, replicas=1)
    require_copies(store, run)
    place = away_from_registry(cluster, run)
    master = masters(cluster, run)[place]
    replica = cluster.replica_of(master)
    registry, pointers = RunRegistry(store, product), PointerStore(store, product)
    with loading(kafka, store, product):
        with cluster.cut_off(replica):
            send(kafka, run.layout.topic, wire_of(run, lists))
            eventually(lambda: "is complete and postponed until replicas have it" in caplog.text)
            assert not damaged_partitions(RedisStore(store), run)
            eventually(lambda: f"0 of 127.0.0.1:{master.ports[0]} have" in str(missing_copies(store, run)))
            assert registry.get(run.run).state is RunState.LOADING
            assert pointers.read().treatment is None
            with pytest.raises(StoreRefused, match="start the replicas"):
                require_copies(store, run, seconds=0)
            master.kill()
            cluster.take_over(replica)
        assert place in damaged_partitions(RedisStore(store), run)
        assert pointers.read().treatment is None
        master.start()  # as the replica of what was its own
        assert ending_of(store, run).ending is RunEnding.SERVING
    assert served(store, product, range(USERS)) == expected(run, lists)
    eventually(lambda: missing_copies(store, run) is None)
    agrees(store, product)


def test_a_run_that_never_gets_its_replicas_fails_with_that_reason(
    kafka: KafkaConnection, cluster: RedisCluster, store: StoreClient
) -> None:
    product, lists = new_product(kafka), lists_of(50)
    run = announce(store, product, lists, first=True, replicas=2, load_deadline_seconds=4)
    load_directly(store, run, lists)  # before the deadline, however slow loaders are
    with loading(kafka, store, product):
        waited = ending_of(store, run)
        eventually(lambda: RunRegistry(store, product).get(run.run).state is RunState.FAILED)
    assert waited.ending in (RunEnding.FAILED, RunEnding.DEADLINE)  # of the waiter, or as the loader tells it
    assert "not on 2 replicas of each master" in waited.reason
