"""Redis wiped: what served comes back from Kafka, whole and under the same word of the operator."""

from datetime import UTC, datetime

import pytest
import redis

from conf.connections import KafkaConnection
from conf.share import NOBODY, Share
from publish.connect.confirmed_sender import KafkaPointerLog
from publish.errors import RunRefused
from publish.operate.control import Control
from publish.operate.dead_letter_reader import count_letters
from publish.operate.rebuild import Rebuilt, start_rebuild
from publish.operate.wait import RunEnding
from publish.runs.erasures import Erasure, ErasureLog
from publish.runs.history import kept_history, read_history
from publish.runs.lease import Lease
from publish.runs.pointer import LOST, PointerStore
from publish.runs.run import RunState
from publish.runs.run_log import kept_pointer
from publish.wire.keys import ProductKeys
from tests.publish.support.pushing import (
    PARTITIONS,
    agrees,
    ending_of,
    eventually,
    expected,
    loading,
    send,
    served,
    stored,
    wire_of,
)
from tests.publish.support.rebuilding import FIRST, SECOND, THIRD, announced, pushed, rebuilt, serves_nothing, two_weeks


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
        changes = read_history(clean_redis, product, None)
        assert changes == kept_history(kafka, control.registry.keys)
        assert [change.rev for change in changes.entries] == [*range(1, before.rev + 1), 0, before.rev + 1]
        assert [change.reason for change in changes.entries[-4:]] == ["by hand", "by hand", LOST, "rebuilt"]
        assert [change.pointer for change in changes.entries[-3::2]] == [before, result.pointer]
        assert changes.gaps == ()
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


@pytest.mark.fault(29)
def test_both_arms_and_the_way_back_come_back(
    kafka: KafkaConnection, clean_redis: redis.Redis, product: str, control: Control
) -> None:
    with loading(kafka, clean_redis, product):
        for first in (True, False):
            left = pushed(kafka, clean_redis, product, FIRST, role="control")
            pushed(kafka, clean_redis, product, SECOND, control=left.run, first=first, share_bp=5_000)
        before = control.pointers.read()
        assert len(set(before.named.values())) == len(before.named) == 4
        clean_redis.flushall()
        rebuilt(kafka, control)
        after = control.pointers.read()
        assert after.named == before.named
        control.share(NOBODY)
        assert before.control is not None
        assert served(clean_redis, product, [7]) == {7: (before.control, "list", tuple(FIRST[7]))}
        pointer = control.rollback(reason="to see that it can")
        assert (pointer.treatment, pointer.control) == (before.previous, before.previous_control)
        agrees(clean_redis, product)


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
        assert ending_of(clean_redis, third).ending is RunEnding.SERVING
        assert served(clean_redis, product, list(THIRD)) == expected(third, THIRD)
        assert control.pointers.read().previous == second.run
        agrees(clean_redis, product)


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
    assert (pointer.treatment, pointer.share_bp, pointer.cap_bp) == (second.run, NOBODY, NOBODY)
    assert pointer.hold is not None
    assert pointer.hold.reason == "Redis is gone"
    changes = kept_history(kafka, control.registry.keys)
    assert [change.rev for change in changes.entries] == [1, 2, 1, 2, 3]
    (gap,) = changes.gaps
    assert gap.what.startswith("Redis lost everything after revision 2; since when nothing was served")
    assert changes.entries[2].pointer.named == {}
