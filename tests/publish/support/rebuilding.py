"""Runs that Kafka keeps as a job and a loader leave them there, and the rebuild of a Redis that lost them."""

from typing import Any

import pytest
import redis
from confluent_kafka import TopicPartition

from conf.connections import KafkaConnection
from publish.connect.clients import admin_client
from publish.connect.confirmed_sender import KafkaPointerLog
from publish.connect.watermarks import watermarks
from publish.errors import Unavailable
from publish.operate.control import Control
from publish.operate.rebuild import Rebuilt, rebuild
from publish.operate.wait import RunEnding
from publish.read.reader import Reader
from publish.runs.run_log import KafkaRunLog
from publish.wire.announcement import Announcement
from tests.publish.support.pushing import PARTITIONS, announce, ending_of, lists_of, loading, send, wire_of
from tests.publish.support.samples import Lists

USERS = 300
FIRST, SECOND, THIRD = lists_of(USERS), lists_of(USERS, shift=1), lists_of(USERS, shift=2)


def announced(kafka: KafkaConnection, client: redis.Redis, product: str, lists: Lists, **changes: Any) -> Announcement:
    """A run announced as a job does it: in Redis and in Kafka."""
    run = announce(client, product, lists, **changes)
    KafkaRunLog(kafka).append(run)
    return run


def pushed(kafka: KafkaConnection, client: redis.Redis, product: str, lists: Lists, **changes: Any) -> Announcement:
    """A run that serves, and is written down (a loader does that within seconds); a loader must be running."""
    run = announced(kafka, client, product, lists, **changes)
    send(kafka, run.layout.topic, wire_of(run, lists))
    assert ending_of(client, run).ending is RunEnding.SERVING
    Control.connect(client, product, log=KafkaPointerLog(kafka)).pointers.write_down_if_new()
    return run


def two_weeks(kafka: KafkaConnection, client: redis.Redis, product: str) -> tuple[Announcement, Announcement]:
    """A run that served, and one that serves."""
    with loading(kafka, client, product):
        return pushed(kafka, client, product, FIRST, first=True), pushed(kafka, client, product, SECOND)


def rebuilt(kafka: KafkaConnection, control: Control, **more: Any) -> Rebuilt:
    return rebuild(kafka, control, **{"deadline": 120, **more})


def serves_nothing(client: redis.Redis, product: str) -> None:
    with pytest.raises(Unavailable):
        Reader(client, product).lookup(1)


def cut(kafka: KafkaConnection, topic: str, ends: dict[int, int]) -> None:
    """Let records age out of the topic: those before these offsets."""
    places = [TopicPartition(topic, partition, end) for partition, end in ends.items()]
    admin = admin_client(kafka)
    for future in admin.delete_records(places).values():
        future.result(30)


def ends_of(kafka: KafkaConnection, topic: str) -> dict[int, int]:
    return {partition: marks.high for partition, marks in watermarks(kafka, topic, range(PARTITIONS)).items()}
