"""Dead letters: confirmed, complete, and never in the way."""

import pytest
import redis
from confluent_kafka import Message, Producer

from conf.connections import KafkaConnection
from publish.connect.confirmed_sender import ConfirmedSender, Outgoing
from publish.errors import DeliveryError
from publish.load.dead_letter_writer import DeadLetter, DeadLetterQueue
from publish.wire.keys import ProductKeys
from tests.publish.support.pushing import messages_of, new_product
from tests.publish.support.samples import closed_port


def arrived(kafka: KafkaConnection, topic: str, key: bytes | None, value: bytes | None) -> Message:
    """A message as a consumer gets it."""
    producer = Producer({"bootstrap.servers": kafka.servers, "message.max.bytes": 2_000_000})
    producer.produce(topic, key=key, value=value, partition=0)
    assert producer.flush(180) == 0
    return messages_of(kafka, topic)[-1]


@pytest.mark.parametrize(("key", "value"), [(b"7", b"payload"), (b"7", None), (None, b""), (b"\xff\x00", b"\x00")])
def test_a_letter_is_kept_as_it_came(
    kafka: KafkaConnection, clean_redis: redis.Redis, key: bytes | None, value: bytes | None
) -> None:
    keys = ProductKeys(new_product(kafka))
    message = arrived(kafka, keys.topic, key, value)
    sender = ConfirmedSender(kafka, "test")
    DeadLetterQueue(sender, keys.dead_letter_topic).dead_letter([DeadLetter(message, "for a test")])
    sender.close()
    (letter,) = messages_of(kafka, keys.dead_letter_topic)
    assert (letter.key(), letter.value()) == (key, value)
    assert dict(letter.headers() or []) == {
        "reason": b"for a test",
        "topic": keys.topic.encode(),
        "partition": b"0",
        "offset": b"0",
    }


def test_a_letter_too_large_for_the_topic_is_kept_without_its_value(kafka: KafkaConnection) -> None:
    keys = ProductKeys(new_product(kafka))
    sender = ConfirmedSender(kafka, "test")
    oversize = sender.send(keys.dead_letter_topic, [Outgoing(b"7", b"x" * 2_000_000), Outgoing(b"8", b"y")])
    sender.close()
    assert [message.key for message in oversize] == [b"7"]


def test_an_unconfirmed_letter_is_an_error() -> None:
    sender = ConfirmedSender(KafkaConnection(servers=f"127.0.0.1:{closed_port()}"), "test", timeout=1)
    with pytest.raises(DeliveryError, match=r"groups\.dead: the broker did not acknowledge"):
        sender.send("groups.dead", [Outgoing(b"7", b"x")])
    sender.close()
