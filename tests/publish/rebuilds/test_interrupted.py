"""A rebuild that is killed, runs beside another, or waits in vain: who repeats it ends it."""

import threading
from collections.abc import Callable

import pytest
import redis

from conf.connections import KafkaConnection
from publish.errors import DeadlinePassed
from publish.operate import rebuild as rebuild_module
from publish.operate.control import Control
from publish.operate.dead_letter_reader import count_letters
from publish.operate.rebuild import Rebuilt, start_rebuild
from publish.wire.keys import ProductKeys
from tests.publish.support.pushing import agrees, expected, loading, served
from tests.publish.support.rebuilding import SECOND, rebuilt, serves_nothing, two_weeks

Killed = type("Killed", (BaseException,), {})


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
    begun = threading.Barrier(3, timeout=180)

    def one_of_three() -> None:
        met: list[int] = []
        results.append(rebuilt(kafka, control, progress=lambda _: met or met.append(begun.wait())))

    threads = [threading.Thread(target=one_of_three) for _ in range(3)]
    with loading(kafka, clean_redis, product):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(180)
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
