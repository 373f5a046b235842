"""What a broker knows of a topic: its id, as a recreated topic has the same name but another id, and who reads it."""

import time
from typing import NamedTuple

from confluent_kafka import ConsumerGroupState, KafkaException

from conf.connections import KafkaConnection
from publish.connect.clients import admin_client, broker_unreachable, describe_group, describe_topic
from publish.errors import BrokerUnreachable


class TopicIdentity(NamedTuple):
    """A topic as the broker knows it; `seen_at` is in seconds of the monotonic clock."""

    id: str
    partitions: int
    seen_at: float


class TopicInspector:
    """Reads the identity of one topic, and who has its partitions, from one broker."""

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

    def orphans(self, group: str, *, timeout: float = 10.0) -> frozenset[int]:
        """Returns the partitions that no member of a consumer group has; none while it is not stable.

        Raises BrokerUnreachable, also if there is no such topic.
        """
        topic = self.identify(timeout=timeout)
        found = describe_group(self._kafka, self._admin, group, timeout=timeout)
        if found is None or found.state is not ConsumerGroupState.STABLE:
            return frozenset()
        had = [one for member in found.members for one in member.assignment.topic_partitions]
        return frozenset(range(topic.partitions)) - {one.partition for one in had if one.topic == self._topic}
