"""Which topic it is that has this name now: a deleted and recreated one has another id."""

import time
from typing import NamedTuple

from confluent_kafka import KafkaException, TopicCollection

from publish.clients import admin_client, broker_unreachable
from publish.errors import BrokerUnreachable


class TopicIdentity(NamedTuple):
    """A topic as the broker knows it; `seen_at` is monotonic time."""

    id: str
    partitions: int
    seen_at: float


def identify_topic(bootstrap: str, topic: str, *, timeout: float = 10.0) -> TopicIdentity:
    """The topic of that name; raises BrokerUnreachable, also when there is none."""
    admin = admin_client(bootstrap)  # kept until the answer is here
    try:
        answer = admin.describe_topics(TopicCollection([topic]), request_timeout=timeout)
        found = answer[topic].result(timeout)
    except KafkaException as error:
        raise broker_unreachable(bootstrap, error) from None
    except TimeoutError:
        raise BrokerUnreachable(f"Kafka did not describe topic {topic} within {timeout:g} s; is it up?") from None
    return TopicIdentity(str(found.topic_id), len(found.partitions), time.monotonic())
