"""Finds the id of a topic: a deleted and recreated topic has the same name but another id."""

import time
from typing import NamedTuple

from confluent_kafka import KafkaException

from conf.connections import KafkaConnection
from publish.connect.clients import admin_client, broker_unreachable, describe_topic
from publish.errors import BrokerUnreachable


class TopicIdentity(NamedTuple):
    """A topic as the broker knows it; `seen_at` is in seconds of the monotonic clock."""

    id: str
    partitions: int
    seen_at: float


class TopicInspector:
    """Reads the identity of one topic from one broker."""

    def __init__(self, kafka: KafkaConnection, topic: str) -> None:
        self._kafka = kafka
        self._topic = topic
        self._admin = admin_client(kafka)

    def identify(self, *, timeout: float = 10.0) -> TopicIdentity:
        """Returns the topic that has the name now; raises BrokerUnreachable, also if there is none."""
        try:
            found = describe_topic(self._admin, self._topic, timeout=timeout)
        except KafkaException as error:
            raise broker_unreachable(self._kafka, error) from None
        except TimeoutError:
            raise BrokerUnreachable(f"Kafka did not describe {self._topic} within {timeout:g} s; is it up?") from None
        if found is None:
            raise BrokerUnreachable(f"Kafka has no topic {self._topic} yet; the first push or loader creates it")
        return TopicIdentity(str(found.topic_id), len(found.partitions), time.monotonic())
