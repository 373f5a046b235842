from itertools import count
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from conf.connections import KafkaConnection
from conf.settings import PublishSettings
from deploy.servers.kafka_broker import KafkaBroker
from publish.connect.topics import ensure_topics
from publish.errors import DeliveryError, SnapshotRefused
from publish.send import sender as sender_module
from publish.send.producer import send_begin, send_end, send_partitions
from publish.send.sender import MAX_RECORD_BYTES, Sender
from publish.wire.announcement import Announcement
from publish.wire.messages import MessageKind, begin_of, end_of, unpack
from tests.publish.support.pushing import messages_of
from tests.publish.support.samples import Lists, announcement_of, batches_of, closed_port

LISTS: Lists = {user: [user + 1, user + 2][: user % 3] for user in range(2_500)}
PARTITIONS = 3
_NUMBERS = count()


@pytest.fixture
def announcement(kafka: KafkaConnection) -> Announcement:
    """A run of a product of its own, whose topics exist."""
    run = announcement_of(LISTS, product=f"sends_{next(_NUMBERS)}", partitions=PARTITIONS)
    ensure_topics(kafka, run.layout, PublishSettings(partitions=PARTITIONS))
    return run


def test_a_run_is_begin_every_record_once_in_order_and_end(kafka: KafkaConnection, announcement: Announcement) -> None:
    with Sender(announcement.layout.topic, kafka, delivery_timeout=120) as sender:
        send_begin(announcement, sender)
        rows = [(partition, [batch]) for partition, batch in enumerate(batches_of(LISTS, PARTITIONS))]
        sent = send_partitions(rows, announcement, sender)
        send_end(announcement, sent, sender)
    assert tuple(sent) == announcement.slices
    for partition, batch in enumerate(batches_of(LISTS, PARTITIONS)):
        found = [unpack(m.key(), m.value()) for m in messages_of(kafka, announcement.layout.topic, partition)]
        begin, *data, end = found
        assert begin_of(begin).slice == announcement.slices[partition]
        assert [record.seq for record in data] == list(range(batch.num_rows))
        assert {(record.kind, record.epoch) for record in data} == {(MessageKind.DATA, announcement.epoch)}
        assert (end_of(end).count, end_of(end).digest) == (batch.num_rows, announcement.slices[partition].digest)


def test_a_full_queue_is_waited_for_and_nothing_is_lost(
    kafka: KafkaConnection, announcement: Announcement, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "_QUEUED_RECORDS", 10)  # far below the 1,000 that are queued at once
    batch = batches_of(LISTS, PARTITIONS)[0]
    with Sender(announcement.layout.topic, kafka, delivery_timeout=120) as sender:
        assert send_partitions([(0, [batch])], announcement, sender) == [announcement.slices[0]]
    found = messages_of(kafka, announcement.layout.topic, 0)
    assert [unpack(m.key(), m.value()).seq for m in found] == list(range(batch.num_rows))


def test_an_empty_partition_is_sent_too(kafka: KafkaConnection) -> None:
    run = announcement_of({}, product="sends_empty", partitions=1)
    with Sender(run.layout.topic, kafka, delivery_timeout=120) as sender:
        assert send_partitions([(0, [])], run, sender) == [run.slices[0]]


def test_another_snapshot_than_the_announced_one_is_refused(kafka: KafkaConnection, announcement: Announcement) -> None:
    other = batches_of(LISTS | {0: [77]}, PARTITIONS)
    place = next(p for p, batch in enumerate(other) if 0 in batch.column("user_id").to_pylist())
    with (
        Sender(announcement.layout.topic, kafka, delivery_timeout=120) as sender,
        pytest.raises(SnapshotRefused, match="not the one that was announced"),
    ):
        send_partitions([(place, [other[place]])], announcement, sender)


@pytest.mark.parametrize("change", ["missing", "twice", "other"])
def test_no_end_goes_out_before_all_is_acknowledged(
    kafka: KafkaConnection, announcement: Announcement, change: str
) -> None:
    first, second, third = announcement.slices
    fewer = third.model_copy(update={"count": third.count - 1})
    sent = {"missing": [first, second], "twice": [first, second, second], "other": [first, second, fewer]}[change]
    with (
        Sender(announcement.layout.topic, kafka, delivery_timeout=120) as sender,
        pytest.raises(SnapshotRefused),
    ):
        send_end(announcement, sent, sender)
    assert [messages_of(kafka, announcement.layout.topic, place) for place in range(PARTITIONS)] == [[]] * 3


def test_an_unknown_partition_is_a_clear_error(kafka: KafkaConnection, announcement: Announcement) -> None:
    topic = announcement.layout.topic

    def send_one() -> None:
        with Sender(topic, kafka, delivery_timeout=120) as sender:
            sender.send(PARTITIONS, [b"1"], [b"x"])
            sender.finish()

    with pytest.raises(DeliveryError, match=rf"{topic}.*0 of 1 records.*_UNKNOWN_PARTITION"):
        send_one()


def test_no_broker_is_a_clear_error_in_time_and_without_secrets() -> None:
    kafka = KafkaConnection(servers=f"eva:s3cr3t@127.0.0.1:{closed_port()}")
    with Sender("gone.topn.v1", kafka, delivery_timeout=1) as sender:
        sender.send(0, [b"1"], [b"x"])
        with pytest.raises(
            DeliveryError, match=r"0 of 1 records acknowledged, then partition 0: _MSG_TIMED_OUT"
        ) as told:
            sender.finish()
    assert "s3cr3t" not in str(told.value)


def test_a_record_that_no_broker_takes_is_refused_before_sending(
    kafka: KafkaConnection, announcement: Announcement
) -> None:
    topic = announcement.layout.topic
    with Sender(topic, kafka, delivery_timeout=120) as sender:
        with pytest.raises(DeliveryError, match=rf"{topic}, partition 0.*key b'eva'.*more than {MAX_RECORD_BYTES}"):
            sender.send(0, [b"eva"], [bytes(MAX_RECORD_BYTES)])
        sender.send(0, [b"eva"], [bytes(MAX_RECORD_BYTES - 3)])  # the largest that may be sent
        assert sender.finish() == 1


def test_the_first_record_that_the_broker_refuses_stops_the_run(kafka: KafkaConnection) -> None:
    topic = "sends_refused.topn.v1"
    admin = AdminClient({"bootstrap.servers": kafka.servers})
    admin.create_topics([NewTopic(topic, 1, 1, config={"max.message.bytes": "2000"})])[topic].result()
    with Sender(topic, kafka, delivery_timeout=120) as sender:
        sender.send(0, [b"1"], [b"x"])
        assert sender.finish() == 1
        sender.send(0, [b"2"], [bytes(3_000)])
        with pytest.raises(DeliveryError, match=r"1 of 2 records acknowledged, then partition 0: MSG_SIZE_TOO_LARGE"):
            sender.finish()
        with pytest.raises(DeliveryError, match="MSG_SIZE_TOO_LARGE"):  # and it stays so
            sender.send(0, [b"3"], [b"x"])


def test_a_broker_that_dies_with_records_on_their_way_is_an_error(tmp_path: Path) -> None:
    with KafkaBroker(tmp_path) as broker:
        kafka, run = KafkaConnection(servers=broker.bootstrap), announcement_of({}, product="dies", partitions=1)
        ensure_topics(kafka, run.layout, PublishSettings(partitions=1))
        with Sender(run.layout.topic, kafka, delivery_timeout=10) as sender:
            sender.send(0, [b"1"], [b"x"])
            assert sender.finish() == 1
            broker.kill()
            sender.send(0, [b"2", b"3"], [b"x", b"x"])
            with pytest.raises(DeliveryError, match=r"1 of 3 records acknowledged, then partition 0: _MSG_TIMED_OUT"):
                sender.finish()
            assert sender.acknowledged == 1


def test_records_thrown_away_are_not_taken_for_acknowledged() -> None:
    kafka = KafkaConnection(servers=f"127.0.0.1:{closed_port()}")  # else the broker may have all before they are
    with Sender("gone.topn.v1", kafka, delivery_timeout=120) as sender:
        sender.send(0, [b"%d" % number for number in range(5_000)], [bytes(1_000)] * 5_000)
        sender._producer.purge()
        with pytest.raises(DeliveryError, match=r"0 of 5000 records acknowledged, then partition 0: _PURGE_"):
            sender.finish()


class Silent:
    """A producer that never answers for a record, and says after `looks` flushes that it holds none."""

    def __init__(self, looks: int) -> None:
        self.looks, self.flushes = looks, 0

    def produce_batch(self, topic: str, records: list[dict[str, bytes]], **_: Any) -> int:
        return len(records)

    def poll(self, _: float) -> int:
        return 0

    def flush(self, _: float) -> int:
        self.flushes += 1
        return len(self)

    def __len__(self) -> int:
        return int(self.flushes < self.looks)

    def purge(self) -> None:
        pass


def test_finish_looks_until_nothing_waits() -> None:
    with Sender("a.topn.v1", KafkaConnection(servers="127.0.0.1:1"), delivery_timeout=120) as sender:
        sender._producer = silent = Silent(looks=3)  # type: ignore[assignment]
        sender.send(0, [b"1"], [b"x"])
        assert sender.acknowledged == 0
        assert sender.finish() == 1
        assert silent.flushes == 3


def test_finish_never_returns_while_a_record_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender_module.time, "monotonic", count(0, 10).__next__)
    with Sender("a.topn.v1", KafkaConnection(servers="127.0.0.1:1"), delivery_timeout=120) as sender:
        sender._producer = Silent(looks=10**9)  # type: ignore[assignment]
        sender.send(0, [b"1"], [b"x"])
        with pytest.raises(DeliveryError, match=r"0 of 1 records acknowledged, then 1 are neither"):
            sender.finish()
