"""What must be in Kafka for sure: a message that is too large for it is an error, whoever says so."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from conf.connections import KafkaConnection
from publish.connect.confirmed_sender import MAX_MESSAGE_BYTES, KafkaPointerLog, Outgoing
from publish.connect.topic_reader import read_topic
from publish.errors import DeliveryError
from publish.runs.erasures import Erasure, ErasureLog
from publish.runs.run_log import KafkaRunLog
from publish.wire.announcement import encode_fallback
from publish.wire.keys import ProductKeys
from tests.publish.support.pushing import new_product
from tests.publish.support.samples import announcement_of

Append = Callable[[KafkaConnection, ProductKeys, int], None]


def append_pointer(kafka: KafkaConnection, keys: ProductKeys, size: int) -> None:
    message = Outgoing(keys.product.encode(), bytes(size))
    KafkaPointerLog(kafka).append(keys.product, {keys.pointer_topic: [message]})


def append_run(kafka: KafkaConnection, keys: ProductKeys, size: int) -> None:
    run = announcement_of({1: [2]}, product=keys.product)
    KafkaRunLog(kafka).append(run.model_copy(update={"fallback": encode_fallback(bytes(size))}))


def append_erasure(kafka: KafkaConnection, keys: ProductKeys, size: int) -> None:
    ErasureLog(kafka, keys.product).append(Erasure(user="7", at=datetime.now(UTC), reason="x" * size))


@pytest.mark.parametrize("size", [2 * 2**20, MAX_MESSAGE_BYTES], ids=["the broker", "the producer"])
@pytest.mark.parametrize(
    ("append", "topic_of"),
    [
        (append_pointer, lambda keys: keys.pointer_topic),
        (append_run, lambda keys: keys.runs_topic),
        (append_erasure, lambda keys: keys.erasures_topic),
    ],
    ids=["pointer", "run", "erasure"],
)
def test_what_is_too_large_is_not_taken_for_written_down(
    kafka: KafkaConnection, append: Append, topic_of: Callable[[ProductKeys], str], size: int
) -> None:
    keys = ProductKeys(new_product(kafka))
    topic = topic_of(keys)
    append(kafka, keys, 10)
    with pytest.raises(DeliveryError, match=rf"{topic}: .* bytes, more than the topic takes"):
        append(kafka, keys, size)
    assert len(read_topic(kafka, topic)) == 1
