"""A push on a real Redis Cluster of three masters: spread, limits, rollback, clearing, slots that move meanwhile."""

from datetime import timedelta

import pytest

from conf.connections import KafkaConnection
from publish.connect.redis_clients import StoreClient
from publish.connect.redis_masters import masters_of
from publish.operate.control import Control
from publish.operate.wait import RunEnding
from publish.runs.housekeeping import Housekeeping
from publish.store.capacity import read_limits
from publish.store.redis_store import RedisStore
from publish.wire.keys import slot_of
from tests.publish.support.clustered import answers, away_from_registry, keys_of, masters, serving
from tests.publish.support.pace import Pace
from tests.publish.support.pushing import (
    agrees,
    announce,
    ending_of,
    eventually,
    expected,
    lists_of,
    loading,
    messages_of,
    new_product,
    progress,
    send,
    served,
    stored,
    wire_of,
)
from tests.support.redis_cluster import RedisCluster, client_of

USERS = 1_200
SOME = list(range(0, USERS, 37))


def test_a_push_a_rollback_and_a_clearing(kafka: KafkaConnection, cluster: RedisCluster, store: StoreClient) -> None:
    product, first_lists, second_lists = new_product(kafka), lists_of(USERS), lists_of(USERS, shift=7)
    first = serving(kafka, store, product, USERS, first=True)
    assert served(store, product, range(USERS)) == expected(first, first_lists)
    assert set(masters(cluster, first)) == set(cluster.nodes[:3])
    assert [len(at.slots) for at in masters_of(store)] == pytest.approx([16_384 / 3] * 3, abs=1)

    with loading(kafka, store, product):
        second = announce(store, product, second_lists)
        send(kafka, second.layout.topic, wire_of(second, second_lists))
        assert ending_of(store, second).ending is RunEnding.SERVING
    assert served(store, product, range(USERS)) == expected(second, second_lists)
    agrees(store, product)

    control = Control.connect(store, product)
    control.rollback(reason="test")
    assert served(store, product, SOME).items() <= expected(first, first_lists).items()
    housekeeping = Housekeeping(control.registry, control.pointers, RedisStore(store), grace=timedelta(0))
    housekeeping.clear(second.run)
    assert not keys_of(cluster, f":{second.run}:")
    assert served(store, product, range(USERS)) == expected(first, first_lists)
    agrees(store, product)


def test_the_fullest_master_decides(kafka: KafkaConnection, cluster: RedisCluster, store: StoreClient) -> None:
    product, lists = new_product(kafka), lists_of(USERS)
    run = announce(store, product, lists, first=True)
    master = masters(cluster, run)[away_from_registry(cluster, run)]
    before = read_limits(store)
    with client_of(master) as client:
        client.config_set("maxmemory", client.info("memory")["used_memory"] + 50_000)
        try:
            limits = read_limits(store)
            assert limits.room < 50_000 * 4 < before.room
            assert limits.maxmemory > 2 * limits.masters[0].maxmemory > 0
            with loading(kafka, store, product):
                send(kafka, run.layout.topic, wire_of(run, lists))
                waited = ending_of(store, run)
        finally:
            client.config_set("maxmemory", "512mb")
    assert waited.ending is RunEnding.FAILED
    assert f"does not fit into the master 127.0.0.1:{master.ports[0]}" in waited.reason
    assert not stored(store, run)


@pytest.mark.fault(30)
def test_slots_move_between_masters_during_a_load(
    kafka: KafkaConnection, cluster: RedisCluster, store: StoreClient, pace: Pace
) -> None:
    product, first_lists, lists = new_product(kafka), lists_of(USERS), lists_of(USERS, shift=3)
    first = serving(kafka, store, product, USERS, first=True)
    run = announce(store, product, lists)
    before, after = expected(first, first_lists), expected(run, lists)
    homes = masters(cluster, run)
    moved, during = 0, []
    unstable, asked, sent_on = (answers(cluster, code) for code in ("TRYAGAIN", "ASK", "MOVED"))

    def look() -> None:
        nonlocal moved
        moved += 1
        if moved == 20:  # some of the slot's keys are here, the others there
            pace.release()
            eventually(lambda: answers(cluster, "TRYAGAIN") > unstable)
        if moved % 20 == 0:
            during.append(progress(store, run))
            found = served(store, product, SOME[:5])
            assert all(answer in (before[user], after[user]) for user, answer in found.items())

    with loading(kafka, store, product):
        pace.hold(0, after=4)
        send(kafka, run.layout.topic, wire_of(run, lists))
        pace.wait_until_held()
        for tag in (run.tags[0], run.tags[3], run.tags[7], product):
            home = cluster.master_of(slot_of(tag))
            cluster.move_slot(slot_of(tag), next(other for other in homes if other is not home), after_each=look)
        assert ending_of(store, run).ending is RunEnding.SERVING
    assert during[0] < USERS
    assert answers(cluster, "ASK") > asked
    assert answers(cluster, "MOVED") > sent_on
    assert served(store, product, range(USERS)) == after
    assert masters(cluster, run) != homes
    assert not messages_of(kafka, run.layout.dead_letter_topic)
    agrees(store, product)
