"""What the topic has now, all of it, in time or not at all."""

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from conf.connections import KafkaConnection
from publish.connect.topic_reader import TopicRecord, latest, read_topic
from publish.errors import BrokerUnreachable
from tests.publish.support.samples import closed_port


def make(kafka: KafkaConnection, topic: str, partitions: int = 1) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.servers})
    admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result()


def send(kafka: KafkaConnection, topic: str, *records: tuple[int, bytes, bytes | None], **settings: str) -> None:
    producer = Producer({"bootstrap.servers": kafka.servers, **settings})
    if "transactional.id" in settings:
        producer.init_transactions(30)
        producer.begin_transaction()
    for partition, key, value in records:
        producer.produce(topic, key=key, value=value, partition=partition)
    if "transactional.id" in settings:
        producer.flush(180)
        producer.abort_transaction(30)
    assert producer.flush(180) == 0


def test_a_topic_is_read_whole_in_order_of_partition_and_offset(kafka: KafkaConnection) -> None:
    make(kafka, "read_whole", 3)
    sent = [(n % 2, f"k{n}".encode(), f"v{n}".encode()) for n in range(2_500)]  # the third partition stays empty
    send(kafka, "read_whole", *sent)
    found = read_topic(kafka, "read_whole")
    assert [(r.partition, r.key, r.value) for r in found] == sorted(sent, key=lambda record: record[0])
    assert [r.offset for r in found] == [*range(1_250), *range(1_250)]
    assert all(record.at is not None for record in found)
    assert read_topic(kafka, "read_whole") == found


def test_a_topic_that_ends_with_what_no_reader_gets_is_read_to_its_end(kafka: KafkaConnection) -> None:
    make(kafka, "read_aborted")
    send(kafka, "read_aborted", (0, b"a", b"1"), (0, b"b", b"2"))
    send(kafka, "read_aborted", (0, b"a", b"never"), **{"transactional.id": "read_aborted"})
    assert [record.value for record in read_topic(kafka, "read_aborted")] == [b"1", b"2"]


def test_an_empty_topic_and_one_that_does_not_exist_hold_nothing(kafka: KafkaConnection) -> None:
    make(kafka, "read_empty")
    assert read_topic(kafka, "read_empty") == ()
    assert read_topic(kafka, "read_nowhere") == ()
    topics = AdminClient({"bootstrap.servers": kafka.servers}).list_topics(timeout=180).topics
    assert "read_nowhere" not in topics, "asking for a topic must not make it"


def test_the_last_record_of_a_key_counts_and_a_tombstone_takes_it_away() -> None:
    said = [(b"a", b"1"), (b"b", b"1"), (b"c", b"1"), (b"b", None), (b"a", b"2"), (b"c", None), (b"c", b"3")]
    records = [TopicRecord(0, offset, None, key, value) for offset, (key, value) in enumerate(said)]
    assert {key: record.value for key, record in latest(records).items()} == {b"a": b"2", b"c": b"3"}
    assert latest([]) == {}


def test_a_broker_that_does_not_answer_is_an_error_in_bounded_time() -> None:
    port = closed_port()
    with pytest.raises(BrokerUnreachable, match=f"127.0.0.1:{port}"):
        read_topic(KafkaConnection(servers=f"127.0.0.1:{port}"), "any", timeout=1.0)
