"""When a rebuild is refused, and when a run is, because a rebuild must come first."""

import pytest
import redis

from conf.connections import KafkaConnection
from publish.errors import RunRefused
from publish.operate.control import Control
from publish.operate.wait import RunEnding
from publish.runs.pointer import Pointer
from publish.runs.registry import RunRegistry
from publish.runs.run_log import kept_pointer, refuse_if_lost
from publish.wire.keys import ProductKeys
from tests.publish.support.pushing import ending_of, loading, send, wire_of
from tests.publish.support.rebuilding import FIRST, announced, rebuilt


def test_a_living_redis_is_left_alone(
    kafka: KafkaConnection, clean_redis: redis.Redis, product: str, control: Control
) -> None:
    with pytest.raises(RunRefused, match="nothing to restore; publish a new run with --first"):
        rebuilt(kafka, control)
    with loading(kafka, clean_redis, product):
        run = announced(kafka, clean_redis, product, FIRST, first=True)
        with pytest.raises(RunRefused, match=f"{run.run} is ANNOUNCED"):
            rebuilt(kafka, control)
        send(kafka, run.layout.topic, wire_of(run, FIRST))
        assert ending_of(clean_redis, run).ending is RunEnding.SERVING
    before = {key: clean_redis.dump(key) for key in clean_redis.scan_iter()}
    with pytest.raises(RunRefused, match="it is not lost"):
        rebuilt(kafka, control)
    assert {key: clean_redis.dump(key) for key in clean_redis.scan_iter()} == before


def test_no_run_starts_on_a_redis_that_lost_the_others(
    kafka: KafkaConnection, clean_redis: redis.Redis, product: str
) -> None:
    registry = RunRegistry(clean_redis, product)
    refuse_if_lost(registry, kafka)
    announced(kafka, clean_redis, product, FIRST)
    refuse_if_lost(registry, kafka)
    clean_redis.flushall()
    with pytest.raises(RunRefused, match="`discovery rebuild` restores it"):
        refuse_if_lost(registry, kafka)


def test_a_pointer_that_kafka_never_got_is_none(kafka: KafkaConnection, product: str) -> None:
    assert kept_pointer(kafka, ProductKeys(product)) == Pointer()
