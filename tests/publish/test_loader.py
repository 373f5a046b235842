"""What a loader does beside loading, through the real broker and the real Redis; what it survives is in `faults/`."""

import redis

from conf.connections import KafkaConnection
from publish.operate.wait import Outcome
from tests.publish.pushing import (
    announce,
    eventually,
    lists_of,
    loading,
    messages_of,
    new_product,
    outcome_of,
    send,
    wire_of,
)


def test_every_pointer_is_also_kept_in_kafka(kafka: KafkaConnection, clean_redis: redis.Redis) -> None:
    product, lists = new_product(kafka), lists_of(200)
    run = announce(clean_redis, product, lists, first=True)
    topic, key = run.layout.pointer_topic, run.layout.pointer
    with loading(kafka, clean_redis, product):
        send(kafka, run.layout.topic, wire_of(run, lists))
        assert outcome_of(clean_redis, run).outcome is Outcome.SERVING
        # Whoever swapped it without a log, here perhaps `wait`, has it written down by the loader within seconds.
        eventually(lambda: bool(messages_of(kafka, topic)))
        eventually(lambda: messages_of(kafka, topic)[-1].value() == clean_redis.get(key))
    assert messages_of(kafka, topic)[-1].key() == product.encode()
