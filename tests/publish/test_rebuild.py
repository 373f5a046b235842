"""Redis wiped: what served comes back from Kafka, whole and under the same word of the operator, or nothing serves."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from confluent_kafka import TopicPartition

from conf.connections import KafkaConnection
from conf.share import Share
from publish.connect.clients import admin_client
from publish.connect.kafka_out import KafkaPointerLog
from publish.connect.watermarks import watermarks
from publish.errors import DeadlinePassed, NotRestored, RunRefused, Unavailable
from publish.operate import rebuild as rebuild_module
from publish.operate.control import Control
from publish.operate.letters import count_letters
from publish.operate.rebuild import Rebuilt, rebuild, start_rebuild
from publish.operate.wait import Outcome
from publish.read.reader import Reader
from publish.runs.erasures import Erasure, ErasureLog
from publish.runs.lease import Lease
from publish.runs.pointer import Pointer, PointerStore
from publish.runs.registry import Registry, RunState
from publish.runs.run_log import KafkaRunLog, kept_pointer, refuse_if_lost
from publish.wire.announcement import Announcement
from publish.wire.keys import ProductKeys
from tests.publish.pushing import (
    PARTITIONS,
    agrees,
    announce,
    eventually,
    expected,
    lists_of,
    loading,
    new_product,
    outcome_of,
    send,
    served,
    stored,
    wire_of,
)
from tests.publish.samples import Lists

USERS = 300
FIRST, SECOND, THIRD = lists_of(USERS), lists_of(USERS, shift=1), lists_of(USERS, shift=2)
Killed = type("Killed", (BaseException,), {})


@pytest.fixture
def product(kafka: KafkaConnection) -> str:
    return new_product(kafka)


@pytest.fixture
def control(kafka: KafkaConnection, clean_redis: redis.Redis, product: str) -> Control:
    return Control.connect(clean_redis, product, log=KafkaPointerLog(kafka))


def announced(kafka: KafkaConnection, client: redis.Redis, product: str, lists: Lists, **changes: Any) -> Announcement:
    """A run announced as a job does it: in Redis and in Kafka."""
    run = announce(client, product, lists, **changes)
    KafkaRunLog(kafka).append(run)
    return run


def pushed(kafka: KafkaConnection, client: redis.Redis, product: str, lists: Lists, **changes: Any) -> Announcement:
    """A run that serves, and is written down (a loader does that within seconds); a loader must be running."""
    run = announced(kafka, client, product, lists, **changes)
    send(kafka, run.layout.topic, wire_of(run, lists))
    assert outcome_of(client, run).outcome is Outcome.SERVING
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


@pytest.mark.fault(29)
def test_what_served_serves_again_under_the_same_word(
    kafka: KafkaConnection, clean_redis: redis.Redis, product: str, control: Control
) -> None:
    topic = ProductKeys(product).topic
    with loading(kafka, clean_redis, product):
        oldest = pushed(kafka, clean_redis, product, FIRST, first=True)
        first = pushed(kafka, clean_redis, product, SECOND)
        second = pushed(kafka, clean_redis, product, THIRD)
        control.hold("a look first")
        control.share(Share.percent(40))
        control.share(Share.percent(100))
        control.share(Share.percent(75))
        on_the_way = announced(kafka, clean_redis, product, FIRST)
        send(kafka, topic, wire_of(on_the_way, FIRST)[:-PARTITIONS])
        eventually(lambda: control.registry.get(on_the_way.run).state is RunState.LOADING)
        before, token = control.pointers.read(), Lease.acquire(clean_redis, control.registry.keys, "a").token
        clean_redis.flushall()
        serves_nothing(clean_redis, product)
        result = rebuilt(kafka, control)  # the loader stands at the end of the topic, and no record comes
        assert result == Rebuilt(control.pointers.read(), None)
        assert result.pointer.rev == before.rev + 1
        unchanged = {"rev": before.rev, "since": before.since}
        assert result.pointer.model_copy(update=unchanged) == before
        assert stored(clean_redis, second).keys() == {str(user).encode() for user in THIRD}
        control.share(Share.percent(100))
        assert served(clean_redis, product, list(THIRD)) == expected(second, THIRD)
        assert not any(control.verify(run.run) for run in (first, second))
        agrees(clean_redis, product)
        states = {report.run.name: report.run.state for report in control.runs()}
        assert states[on_the_way.run] is RunState.FAILED
        assert states[oldest.run] is RunState.RETIRED
        assert control.rollback(reason="to see that it can").treatment == first.run
        assert served(clean_redis, product, list(SECOND)) == expected(first, SECOND)
    assert kept_pointer(kafka, control.registry.keys) == control.pointers.read()
    assert count_letters(kafka, ProductKeys(product).dead_letter_topic) == 0
    assert control.registry.next_epoch() > on_the_way.epoch
    assert Lease.acquire(clean_redis, control.registry.keys, "b").token > token


def killed_before_the_registry(monkeypatch: pytest.MonkeyPatch, kafka: KafkaConnection, control: Control) -> None:
    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(rebuild_module.SalvageStore, "start", die)
        rebuilt(kafka, control)


def killed_after_the_registry(monkeypatch: pytest.MonkeyPatch, kafka: KafkaConnection, control: Control) -> None:
    start_rebuild(kafka, control)
    raise Killed


def killed_while_loading(monkeypatch: pytest.MonkeyPatch, kafka: KafkaConnection, control: Control) -> None:
    def die(progress: rebuild_module.RebuildProgress) -> None:
        if progress.loaded > 0:
            raise Killed

    rebuilt(kafka, control, progress=die)


def killed_before_the_pointer(monkeypatch: pytest.MonkeyPatch, kafka: KafkaConnection, control: Control) -> None:
    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(control.pointers, "end_rebuild", die)
        rebuilt(kafka, control)


@pytest.mark.parametrize(
    "kill",
    [killed_before_the_registry, killed_after_the_registry, killed_while_loading, killed_before_the_pointer],
)
def test_a_killed_rebuild_is_repeated(
    kafka: KafkaConnection,
    clean_redis: redis.Redis,
    product: str,
    control: Control,
    monkeypatch: pytest.MonkeyPatch,
    kill: Callable[[pytest.MonkeyPatch, KafkaConnection, Control], None],
) -> None:
    first, second = two_weeks(kafka, clean_redis, product)
    clean_redis.flushall()
    with loading(kafka, clean_redis, product):
        with pytest.raises(Killed):
            kill(monkeypatch, kafka, control)
        serves_nothing(clean_redis, product)
        assert rebuilt(kafka, control).pointer.named == {"treatment": second.run, "previous": first.run}
        assert served(clean_redis, product, list(SECOND)) == expected(second, SECOND)
        agrees(clean_redis, product)
    assert count_letters(kafka, ProductKeys(product).dead_letter_topic) == 0


@pytest.mark.fault(29)
def test_two_rebuilds_at_once_are_one(
    kafka: KafkaConnection, clean_redis: redis.Redis, product: str, control: Control
) -> None:
    _, second = two_weeks(kafka, clean_redis, product)
    rev = control.pointers.read().rev
    clean_redis.flushall()
    results: list[Rebuilt] = []
    threads = [threading.Thread(target=lambda: results.append(rebuilt(kafka, control))) for _ in range(3)]
    with loading(kafka, clean_redis, product):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(90)
    assert [(result.pointer.rev, result.pointer.treatment) for result in results] == [(rev + 1, second.run)] * 3


def test_without_loaders_it_ends_at_its_deadline_and_goes_on_when_repeated(
    kafka: KafkaConnection, clean_redis: redis.Redis, product: str, control: Control
) -> None:
    _, second = two_weeks(kafka, clean_redis, product)
    clean_redis.flushall()
    with pytest.raises(DeadlinePassed, match="discovery load"):
        rebuilt(kafka, control, deadline=0.1)
    serves_nothing(clean_redis, product)
    with loading(kafka, clean_redis, product):
        assert rebuilt(kafka, control).pointer.treatment == second.run


@pytest.mark.fault(29)
def test_a_push_during_a_rebuild_serves_after_it(
    kafka: KafkaConnection, clean_redis: redis.Redis, product: str, control: Control
) -> None:
    _, second = two_weeks(kafka, clean_redis, product)
    clean_redis.flushall()
    start_rebuild(kafka, control)
    third = announced(kafka, clean_redis, product, THIRD)
    assert third.epoch > second.epoch
    send(kafka, third.layout.topic, wire_of(third, THIRD))
    with loading(kafka, clean_redis, product):
        eventually(lambda: control.registry.get(third.run).state is RunState.READY)
        serves_nothing(clean_redis, product)
        for order in (lambda: control.hold("now"), control.unhold, lambda: control.share(Share(0))):
            with pytest.raises(RunRefused, match="discovery rebuild"):
                order()
        with pytest.raises(RunRefused, match="discovery rebuild"):
            control.promote(third.run)
        with pytest.raises(RunRefused, match="discovery rebuild"):
            control.clear(second.run)
        rebuilt(kafka, control)
        assert outcome_of(clean_redis, third).outcome is Outcome.SERVING
        assert served(clean_redis, product, list(THIRD)) == expected(third, THIRD)
        assert control.pointers.read().previous == second.run
        agrees(clean_redis, product)


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
        assert {answer[0] for answer in served(clean_redis, product, list(FIRST)).values()} == {None}
        third = pushed(kafka, clean_redis, product, THIRD, first=True)
        assert control.pointers.read().share_bp == 1_000  # the operator's word outlives it all
        control.share(Share.percent(100))
        assert served(clean_redis, product, list(THIRD)) == expected(third, THIRD)


def test_a_run_that_kafka_does_not_know_cannot_serve_again(
    kafka: KafkaConnection, clean_redis: redis.Redis, product: str, control: Control
) -> None:
    with loading(kafka, clean_redis, product):
        pushed(kafka, clean_redis, product, FIRST, first=True)
        second = announce(clean_redis, product, SECOND)
        send(kafka, second.layout.topic, wire_of(second, SECOND))
        assert outcome_of(clean_redis, second).outcome is Outcome.SERVING
    clean_redis.flushall()
    with loading(kafka, clean_redis, product), pytest.raises(NotRestored, match="has no announcement of it"):
        rebuilt(kafka, control)


def test_erased_users_stay_erased(
    kafka: KafkaConnection, clean_redis: redis.Redis, product: str, control: Control
) -> None:
    _, second = two_weeks(kafka, clean_redis, product)
    for user in ("7", "8", "299"):
        ErasureLog(kafka, product).append(Erasure(user=user, at=datetime.now(UTC), reason="asked for"))
    clean_redis.flushall()
    with loading(kafka, clean_redis, product):
        rebuilt(kafka, control)
    kept = {user: sources for user, sources in SECOND.items() if user not in (7, 8, 299)}
    assert served(clean_redis, product, list(kept)) == expected(second, kept)
    assert {source for _, source, _ in served(clean_redis, product, [7, 8, 299]).values()} == {"fallback"}
    assert stored(clean_redis, second).keys() == {str(user).encode() for user in kept}


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
        assert outcome_of(clean_redis, run).outcome is Outcome.SERVING
    before = {key: clean_redis.dump(key) for key in clean_redis.scan_iter()}
    with pytest.raises(RunRefused, match="it is not lost"):
        rebuilt(kafka, control)
    assert {key: clean_redis.dump(key) for key in clean_redis.scan_iter()} == before


def test_what_an_operator_said_after_the_loss_counts(
    kafka: KafkaConnection, clean_redis: redis.Redis, product: str, control: Control
) -> None:
    _, second = two_weeks(kafka, clean_redis, product)
    kept = kept_pointer(kafka, control.registry.keys)
    clean_redis.flushall()
    control.share(Share(0))
    control.hold("Redis is gone")
    PointerStore(clean_redis, product, log=KafkaPointerLog(kafka)).write_down_if_new()  # as every loader does
    assert kept_pointer(kafka, control.registry.keys) == kept
    with loading(kafka, clean_redis, product):
        pointer = rebuilt(kafka, control).pointer
    assert (pointer.treatment, pointer.share_bp, pointer.cap_bp) == (second.run, 0, 0)
    assert pointer.hold is not None
    assert pointer.hold.reason == "Redis is gone"


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


def test_no_run_starts_on_a_redis_that_lost_the_others(
    kafka: KafkaConnection, clean_redis: redis.Redis, product: str
) -> None:
    registry = Registry(clean_redis, product)
    refuse_if_lost(registry, kafka)
    announced(kafka, clean_redis, product, FIRST)
    refuse_if_lost(registry, kafka)
    clean_redis.flushall()
    with pytest.raises(RunRefused, match="`discovery rebuild` restores it"):
        refuse_if_lost(registry, kafka)


def test_a_pointer_that_kafka_never_got_is_none(kafka: KafkaConnection, product: str) -> None:
    assert kept_pointer(kafka, ProductKeys(product)) == Pointer()
