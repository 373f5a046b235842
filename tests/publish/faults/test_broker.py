"""Faults 21 and 30: the broker killed, frozen, refusing; the topic deleted and made anew."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
import redis
from confluent_kafka import Consumer, TopicPartition

from conf.connections import KafkaConnection
from conf.settings import PublishSettings
from deploy.servers.kafka_broker import KafkaBroker
from publish.connect.clients import admin_client, group_size
from publish.connect.topics import ensure_topics
from publish.errors import DeliveryError
from publish.load import loader
from publish.operate.wait import RunEnding
from publish.send.producer import send_begin, send_end, send_partitions
from publish.send.sender import Sender
from publish.wire.announcement import Announcement, Slice
from publish.wire.keys import ProductKeys
from publish.wire.messages import MessageKind, unpack
from tests.publish.support.mock_cluster import PRODUCE, MockCluster
from tests.publish.support.promise import World, kept, unchanged
from tests.publish.support.pushing import PARTITIONS, PATIENCE, eventually, lists_of, loading, progress, send, wire_of
from tests.publish.support.samples import Lists, announcement_of, batches_of

NOT_LEADER, TIMED_OUT, NOT_ENOUGH_REPLICAS, DENIED, SEQUENCE_LOST = 6, 7, 19, 29, 45


@pytest.fixture(scope="module")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """A broker that a test may harm; it runs when a test begins."""
    with KafkaBroker(tmp_path_factory.mktemp("harmed")) as broker:
        yield broker


@pytest.fixture
def shaky(own_broker: KafkaBroker, client: redis.Redis) -> World:
    """A product on that broker, in which a run serves."""
    own_broker.start()
    world = World.new(KafkaConnection(servers=own_broker.bootstrap), client)
    with loading(world.kafka, client, world.product):
        world.serve()
    return world


def send_run(kafka: KafkaConnection, run: Announcement, lists: Lists, seconds: float = 120) -> list[Slice]:
    """Send a whole run as the product does; each record is acknowledged within so many seconds."""
    batches = batches_of(lists, run.partitions, run.ids, run.buckets)
    with Sender(run.layout.topic, kafka, delivery_timeout=seconds) as sender:
        send_begin(run, sender)
        sent = send_partitions([(partition, [batch]) for partition, batch in enumerate(batches)], run, sender)
        send_end(run, sent, sender)
    return sent


@pytest.mark.fault(21)
def test_the_broker_is_killed_and_restarted_in_the_middle(shaky: World, own_broker: KafkaBroker) -> None:
    """21: the loader waits for it, and every acknowledged record is still there."""
    lists = shaky.next_lists()
    run = shaky.announce(lists)
    wire = wire_of(run, lists)
    with loading(shaky.kafka, shaky.client, shaky.product):
        send(shaky.kafka, run.layout.topic, wire[:300])
        eventually(lambda: progress(shaky.client, run) > 250)
        own_broker.kill()
        unchanged(shaky)
        own_broker.start()
        send_run(shaky.kafka, run, lists)  # a stage that is tried again sends all of it again
        assert kept(shaky, run, lists) is RunEnding.SERVING


@pytest.mark.fault(21)
def test_the_broker_does_not_answer_in_time(shaky: World, own_broker: KafkaBroker) -> None:
    """21: a produce time-out is an error, no END follows it; sent again, the same run serves."""
    lists = shaky.next_lists()
    run = shaky.announce(lists)
    batch = batches_of(lists, run.partitions, run.ids, run.buckets)[0]
    with Sender(run.layout.topic, shaky.kafka, delivery_timeout=10) as sender:
        send_begin(run, sender)
        os.kill(own_broker.pid, signal.SIGSTOP)
        try:
            with pytest.raises(DeliveryError, match=f"{PARTITIONS} of"):
                send_partitions([(0, [batch])], run, sender)
            unchanged(shaky)
        finally:
            os.kill(own_broker.pid, signal.SIGCONT)
    with loading(shaky.kafka, shaky.client, shaky.product):
        send_run(shaky.kafka, run, lists)
        assert kept(shaky, run, lists) is RunEnding.SERVING


@pytest.mark.fault(21)
def test_the_broker_stays_away(shaky: World, own_broker: KafkaBroker) -> None:
    """21: the push fails in time, and the old run serves without Kafka."""
    lists = shaky.next_lists()
    run = shaky.announce(lists, stall_seconds=3)
    own_broker.kill()
    with (
        Sender(run.layout.topic, shaky.kafka, delivery_timeout=1) as sender,
        pytest.raises(DeliveryError),
    ):
        send_begin(run, sender)
    assert kept(shaky, run, lists) is RunEnding.FAILED


LISTS = lists_of(300)


@pytest.fixture
def mock() -> Iterator[tuple[MockCluster, Announcement]]:
    """Three brokers that fail on request, and a run for them."""
    run = announcement_of(LISTS, product="mocked", partitions=PARTITIONS)
    with MockCluster(3) as cluster:
        cluster.create_topic(run.layout.topic, PARTITIONS)
        yield cluster, run


def arrived(kafka: KafkaConnection, run: Announcement) -> list[tuple[int, MessageKind, int]]:
    """Partition, kind and seq of all that is in the topic."""
    consumer = Consumer({"bootstrap.servers": kafka.servers, "group.id": "test", "auto.offset.reset": "earliest"})
    found = []
    for partition in range(run.partitions):
        _, high = consumer.get_watermark_offsets(TopicPartition(run.layout.topic, partition), timeout=180)
        consumer.assign([TopicPartition(run.layout.topic, partition, 0)])
        messages, deadline = [], time.monotonic() + PATIENCE
        while len(messages) < high and time.monotonic() < deadline:
            messages += consumer.consume(high - len(messages), timeout=1)
        envelopes = [unpack(message.key(), message.value()) for message in messages]
        found += [(partition, envelope.kind, envelope.seq) for envelope in envelopes]
    consumer.close()
    return found


def whole_run(run: Announcement) -> list[tuple[int, MessageKind, int]]:
    """The same of a run that arrived once and in order."""
    return [
        (piece.partition, kind, seq)
        for piece in run.slices
        for kind, seq in [
            (MessageKind.BEGIN, 0),
            *((MessageKind.DATA, n) for n in range(piece.count)),
            (MessageKind.END, piece.count),
        ]
    ]


@pytest.mark.fault(21)
@pytest.mark.parametrize("codes", [(NOT_LEADER,), (TIMED_OUT, TIMED_OUT), (NOT_ENOUGH_REPLICAS, NOT_LEADER)])
def test_errors_that_pass_cost_no_record(mock: tuple[MockCluster, Announcement], codes: tuple[int, ...]) -> None:
    """21: the idempotent producer tries again; every record arrives once and in order."""
    cluster, run = mock
    cluster.fail(PRODUCE, *codes)
    assert tuple(send_run(cluster.kafka, run, LISTS)) == run.slices
    assert arrived(cluster.kafka, run) == whole_run(run)


@pytest.mark.fault(21)
def test_another_broker_takes_over(mock: tuple[MockCluster, Announcement]) -> None:
    """21: a partition whose leader changes between its records loses none of them."""
    cluster, run = mock
    sent = []
    with Sender(run.layout.topic, cluster.kafka, delivery_timeout=120) as sender:
        send_begin(run, sender)
        for partition, batch in enumerate(batches_of(LISTS, run.partitions, run.ids, run.buckets)):
            cluster.move_leader(run.layout.topic, partition, (partition + 1) % 3 + 1)
            sent += send_partitions([(partition, [batch])], run, sender)
        send_end(run, sent, sender)
    assert arrived(cluster.kafka, run) == whole_run(run)


@pytest.mark.fault(21)
@pytest.mark.parametrize("code", [DENIED, SEQUENCE_LOST])
def test_an_error_that_does_not_pass_stops_the_run(mock: tuple[MockCluster, Announcement], code: int) -> None:
    """21: a record that was not acknowledged is an error, and no END follows it."""
    cluster, run = mock
    batches = batches_of(LISTS, run.partitions, run.ids, run.buckets)
    with Sender(run.layout.topic, cluster.kafka, delivery_timeout=120) as sender:
        send_begin(run, sender)
        cluster.fail(PRODUCE, *[code] * 20)
        with pytest.raises(DeliveryError, match=rf"{PARTITIONS} of \d+ records acknowledged, then"):
            send_partitions([(0, [batches[0]])], run, sender)


@pytest.mark.fault(21)
def test_brokers_that_went_away_are_noticed_in_time(mock: tuple[MockCluster, Announcement]) -> None:
    """21: a produce time-out."""
    cluster, run = mock
    batches = batches_of(LISTS, run.partitions, run.ids, run.buckets)
    with Sender(run.layout.topic, cluster.kafka, delivery_timeout=10) as sender:
        send_begin(run, sender)
        for broker in (1, 2, 3):
            cluster.stop_broker(broker)
        with pytest.raises(DeliveryError, match=f"{PARTITIONS} of"):
            send_partitions([(0, [batches[0]])], run, sender)


@pytest.mark.fault(30)
def test_the_topic_is_deleted_and_made_anew(world: World) -> None:
    """30: its offsets begin at 0 again, below the positions in Redis; its id tells it apart."""
    topic, admin = ProductKeys(world.product).topic, admin_client(world.kafka)
    with loading(world.kafka, world.client, world.product):
        admin.delete_topics([topic])[topic].result(180)
        eventually(lambda: topic not in admin.list_topics(timeout=180).topics)
        ensure_topics(world.kafka, ProductKeys(world.product), PublishSettings(partitions=PARTITIONS))
        assert kept(world, *world.push()) is RunEnding.SERVING


@pytest.mark.fault(30)
def test_the_topic_is_made_anew_in_the_middle_of_a_load(world: World) -> None:
    """30: what was sent before is gone from Kafka, and stays in Redis; sent again, the run is whole."""
    lists = world.next_lists()
    run = world.announce(lists)
    topic, admin = run.layout.topic, admin_client(world.kafka)
    with loading(world.kafka, world.client, world.product):
        send(world.kafka, topic, wire_of(run, lists)[:300])
        eventually(lambda: progress(world.client, run) > 250)
        admin.delete_topics([topic])[topic].result(180)
        eventually(lambda: topic not in admin.list_topics(timeout=180).topics)
        ensure_topics(world.kafka, run.layout, PublishSettings(partitions=PARTITIONS))
        unchanged(world)
        send(world.kafka, topic, wire_of(run, lists))
        assert kept(world, run, lists) is RunEnding.SERVING


@pytest.mark.fault(30)
def test_the_topic_is_away_while_its_partitions_are_assigned(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """30: the leader of the loaders' group assigns nothing then, and does not see that the topic is back."""
    settings = loader._consumer_settings
    rarely = {"topic.metadata.refresh.interval.ms": 600_000}  # or it might see that the topic is away
    monkeypatch.setattr(loader, "_consumer_settings", lambda *args: {**settings(*args), **rarely})
    keys, admin = ProductKeys(world.product), admin_client(world.kafka)

    def another() -> Consumer:
        member = Consumer({"bootstrap.servers": world.kafka.servers, "group.id": keys.loader_group})
        member.subscribe([keys.topic])
        return member

    with loading(world.kafka, world.client, world.product) as leader:
        eventually(lambda: len(leader._assigned) == PARTITIONS)
        with closing(another()) as late:
            eventually(lambda: late.poll(0.1) is None and len(late.assignment()) > 0)
            with closing(another()):  # the leader joins again, and waits for the late one, who does not poll
                eventually(lambda: not leader._assigned)
            admin.delete_topics([keys.topic])[keys.topic].result(180)
            eventually(lambda: keys.topic not in admin.list_topics(timeout=180).topics)
        eventually(lambda: group_size(world.kafka, keys.loader_group) == 1)
        ensure_topics(world.kafka, keys, PublishSettings(partitions=PARTITIONS))
        assert kept(world, *world.push()) is RunEnding.SERVING
