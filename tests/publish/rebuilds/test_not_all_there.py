"""Redis wiped, and Kafka has not all of what it had: what is whole serves, or nothing does."""

import pytest
import redis

from conf.connections import KafkaConnection
from conf.share import Share
from publish.errors import NotRestored
from publish.operate.control import Control
from publish.operate.dead_letter_reader import count_letters
from publish.operate.wait import RunEnding
from publish.runs.history import kept_history
from publish.runs.run import RunState
from publish.wire.keys import ProductKeys
from tests.publish.support.pushing import agrees, announce, ending_of, expected, loading, send, served, wire_of
from tests.publish.support.rebuilding import FIRST, SECOND, THIRD, announced, cut, ends_of, pushed, rebuilt


@pytest.mark.parametrize("kept_of_it", [0, 20], ids=["all of it", "its begin and some lists"])
def test_a_run_to_go_back_to_that_aged_out_is_dropped(
    kafka: KafkaConnection, clean_redis: redis.Redis, product: str, control: Control, kept_of_it: int
) -> None:
    topic = ProductKeys(product).topic
    with loading(kafka, clean_redis, product):
        first = pushed(kafka, clean_redis, product, FIRST, first=True)
        ends = ends_of(kafka, topic)
        second = pushed(kafka, clean_redis, product, SECOND)
        cut(kafka, topic, {partition: end - kept_of_it for partition, end in ends.items()})
        clean_redis.flushall()
        result = rebuilt(kafka, control)
        assert result.dropped is not None
        assert f"run {first.run} cannot be restored: not all of its records" in result.dropped
        assert result.pointer.named == {"treatment": second.run}
        assert served(clean_redis, product, list(SECOND)) == expected(second, SECOND)
        agrees(clean_redis, product)
    assert count_letters(kafka, ProductKeys(product).dead_letter_topic) == 0


def test_nothing_serves_when_what_served_aged_out(
    kafka: KafkaConnection, clean_redis: redis.Redis, product: str, control: Control
) -> None:
    topic = ProductKeys(product).topic
    with loading(kafka, clean_redis, product):
        pushed(kafka, clean_redis, product, FIRST, first=True)
        pushed(kafka, clean_redis, product, SECOND)
        control.share(Share.percent(10))
        ends = ends_of(kafka, topic)
        cut(kafka, topic, {1: ends[1] - 5})
        clean_redis.flushall()
        with pytest.raises(NotRestored, match=r"not all of its records.*nothing serves.*--first"):
            rebuilt(kafka, control)
        assert control.pointers.read().named == {}
        last = kept_history(kafka, control.registry.keys).entries[-1]
        assert (last.pointer, last.reason) == (control.pointers.read(), "rebuilt, but what served could not be")
        assert {answer[0] for answer in served(clean_redis, product, list(FIRST)).values()} == {None}
        third = pushed(kafka, clean_redis, product, THIRD, first=True)
        assert control.pointers.read().share_bp == Share(1_000)  # the operator's word outlives it all
        control.share(Share.percent(100))
        assert served(clean_redis, product, list(THIRD)) == expected(third, THIRD)


def test_a_run_that_kafka_does_not_know_cannot_serve_again(
    kafka: KafkaConnection, clean_redis: redis.Redis, product: str, control: Control
) -> None:
    with loading(kafka, clean_redis, product):
        pushed(kafka, clean_redis, product, FIRST, first=True)
        second = announce(clean_redis, product, SECOND)
        send(kafka, second.layout.topic, wire_of(second, SECOND))
        assert ending_of(clean_redis, second).ending is RunEnding.SERVING
    clean_redis.flushall()
    with loading(kafka, clean_redis, product), pytest.raises(NotRestored, match="has no announcement of it"):
        rebuilt(kafka, control)


def test_a_run_that_never_served_is_lost_with_redis(
    kafka: KafkaConnection, clean_redis: redis.Redis, product: str, control: Control
) -> None:
    run = announced(kafka, clean_redis, product, FIRST, first=True)
    send(kafka, run.layout.topic, wire_of(run, FIRST))
    clean_redis.flushall()
    with loading(kafka, clean_redis, product):
        assert rebuilt(kafka, control).pointer.named == {}
        assert control.registry.get(run.run).state is RunState.FAILED
        again = pushed(kafka, clean_redis, product, SECOND, first=True)
        assert served(clean_redis, product, list(SECOND)) == expected(again, SECOND)
    assert count_letters(kafka, ProductKeys(product).dead_letter_topic) == 0
