"""What a loader does beside loading, through the real broker and the real Redis; what it survives is in `faults/`."""

import pytest
import redis

from conf.connections import KafkaConnection
from publish.author import service
from publish.load import periodic_tasks
from publish.operate.wait import RunEnding
from publish.runs.history import kept_history
from publish.runs.pointer import LOST, PointerStore
from publish.runs.run_log import kept_pointer
from tests.publish.support.pushing import (
    announce,
    ending_of,
    eventually,
    lists_of,
    loading,
    messages_of,
    new_product,
    send,
    wire_of,
)


def test_every_pointer_is_also_kept_in_kafka_and_so_is_its_loss(
    kafka: KafkaConnection, clean_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(periodic_tasks, "_KEEP_SECONDS", 0.2)
    product, lists = new_product(kafka), lists_of(200)
    run = announce(clean_redis, product, lists, first=True)
    with loading(kafka, clean_redis, product):
        send(kafka, run.layout.topic, wire_of(run, lists))
        assert ending_of(clean_redis, run).ending is RunEnding.SERVING
        # Whoever swapped it without a log, here perhaps `wait`, has it written down by the loader within seconds.
        eventually(lambda: bool(messages_of(kafka, run.layout.pointer_topic)))
        pointer = PointerStore(clean_redis, product).read()
        eventually(lambda: kept_pointer(kafka, run.layout) == pointer)
        eventually(lambda: bool(kept_history(kafka, run.layout).entries))
        clean_redis.flushall()
        eventually(lambda: len(kept_history(kafka, run.layout).entries) == 2)
    assert messages_of(kafka, run.layout.pointer_topic)[-1].key() == product.encode()
    entry, loss = kept_history(kafka, run.layout).entries
    assert (entry.pointer, entry.reason) == (pointer, f"run {run.run} is complete")
    assert (loss.rev, loss.reason, loss.who) == (0, LOST, service("loader"))
