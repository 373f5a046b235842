"""The thirty faults that publishing survives, as they befall an installation, and which alerts each raises."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import NamedTuple
from unittest.mock import patch

import pytest

from conf.connections import KafkaConnection
from conf.settings import PublishSettings
from conf.share import EVERYBODY, NOBODY, Share
from publish.connect.clients import admin_client
from publish.connect.topics import ensure_topics
from publish.errors import DeliveryError
from publish.operate.control import Control
from publish.operate.wait import RunEnding
from publish.send.producer import send_begin, send_partitions
from publish.send.sender import Sender
from publish.store.durability import damaged_partitions
from publish.store.redis_store import RedisStore
from publish.wire.announcement import Announcement
from publish.wire.keys import ProductKeys
from tests.deploy.monitoring.installation import Installation
from tests.publish.faults.test_versions import of_kind
from tests.publish.support import damages
from tests.publish.support.damages import Damage
from tests.publish.support.promise import USERS
from tests.publish.support.pushing import PARTITIONS, eventually, send, wire_of
from tests.publish.support.samples import batches_of, closed_port


class State(Enum):
    """What a fault brings about."""

    PASSES = "passes"
    """Prometheus scrapes it twice."""
    STAYS = "stays"
    """It lasts until somebody mends it."""


Befalls = Callable[[Installation], Iterator[State]]
"""Lets a fault happen; at each `yield` there is another state, and the last one stays."""


class Row(NamedTuple):
    """One way in which a fault happens."""

    fault: int
    what: str
    alerts: Sequence[str]
    """Without `Discovery`, the worst one first; none: it heals."""
    befalls: Befalls
    heals: str = ""
    """Why nobody needs to be told."""
    is_alone: bool = False
    """Whether it befalls a product of its own, in whose topic no record was ever refused."""

    @property
    def title(self) -> str:
        """Its name, of which there is no second one."""
        return f"{self.fault} {self.what}"

    @property
    def names(self) -> list[str]:
        """Names of the alerts."""
        return [f"Discovery{alert}" for alert in self.alerts]

    @property
    def raises(self) -> frozenset[str]:
        """The same, in no order."""
        return frozenset(self.names)


# 1 to 10 and 13: what arrives is not what was meant


def _damaged(damage: Damage) -> Befalls:
    def befalls(it: Installation) -> Iterator[State]:
        it.until_failed(it.push(damage))
        yield State.STAYS

    return befalls


def _harmless(damage: Damage) -> Befalls:
    def befalls(it: Installation) -> Iterator[State]:
        it.until(it.push(damage))
        yield State.STAYS

    return befalls


def _stands_still(damage: Damage) -> Befalls:
    def befalls(it: Installation) -> Iterator[State]:
        it.push(damage)
        yield State.STAYS

    return befalls


def _stranger(it: Installation) -> Iterator[State]:
    lists = it.world.next_lists(40)
    run = it.announce(lists)
    it.control.registry.fail(run.run, "not this one")
    it.serve()
    forged = Announcement.model_validate({**run.model_dump(), "epoch": 10**9 + 7, "run": "forged"})
    _dead_letters_of(it, forged, lambda: send(it.kafka, run.layout.topic, wire_of(forged, lists)))
    yield State.STAYS


def _dead_letters_of(it: Installation, run: Announcement, sends: Callable[[], object]) -> None:
    store = RedisStore(it.client)
    before = store.dead_letters(run.layout)
    sends()
    eventually(lambda: store.dead_letters(run.layout) > before, seconds=60)


def _off_by_one(it: Installation) -> Iterator[State]:
    lists = it.world.next_lists()
    right = it.announce(lists)
    it.client.hdel(right.layout.runs, right.run, f"{right.run}:state")
    first, *others = right.slices
    it.until_failed(it.push(lists=lists, slices=(first.model_copy(update={"count": first.count + 1}), *others)))
    yield State.STAYS


def _malformed_begin(it: Installation) -> Iterator[State]:
    lists = it.world.next_lists()
    run = it.announce(lists)
    _dead_letters_of(it, run, lambda: it.world.send(run, lists, damages.begin_malformed))
    yield State.STAYS


def _vanished(it: Installation) -> Iterator[State]:
    it.stop_loader()  # which might remember it
    lists = it.world.next_lists()
    run = it.announce(lists)
    it.client.hdel(run.layout.runs, run.run, f"{run.run}:state")
    it.world.send(run, lists)
    _dead_letters_of(it, run, it.start_loader)
    yield State.STAYS


def _oversize(it: Installation) -> Iterator[State]:
    lists = it.world.next_lists()
    lists[0] = [2**62 + number for number in range(130_000)]
    run = it.announce(lists)
    home = run.layout.partition_of(0)
    batch = batches_of(lists, run.partitions, run.ids, run.buckets)[home]
    with Sender(run.layout.topic, it.kafka, delivery_timeout=20) as sender:
        send_begin(run, sender)
        with pytest.raises(DeliveryError) as refused:
            send_partitions([(home, [batch])], run, sender)
    it.job_ends(failure=str(refused.value))
    yield State.STAYS


# 11 and 12: lists that should not serve


def _too_few(it: Installation) -> Iterator[State]:
    it.until_failed(it.push(lists=it.world.next_lists(USERS // 2 - 20)))
    yield State.STAYS


def _all_the_same(it: Installation) -> Iterator[State]:
    it.gate_fails("lists", why="min_sources is 2")
    yield State.STAYS


def _gate_fails(it: Installation) -> Iterator[State]:
    it.gate_fails("interactions", why="min_rows is 10")
    yield State.STAYS


def _gate_hangs(it: Installation) -> Iterator[State]:
    it.gate_fails("inputs", why="no answer within 600 s")
    yield State.STAYS


def _gate_is_missing(it: Installation) -> Iterator[State]:
    it.job_ends(failure="ValidationError: gates_passed is missing")
    yield State.STAYS


def _sent_though_stopped(it: Installation) -> Iterator[State]:
    it.until_failed(it.push(gates_passed=False))
    yield State.STAYS


# 14 and 20: loaders come and go


def _loader_restarts(it: Installation) -> Iterator[State]:
    run, lists = it.push_half()
    it.stop_loader()
    yield State.PASSES
    it.start_loader()
    it.world.send(run, lists)
    it.until(run)
    eventually(lambda: not it.is_unwell())
    yield State.STAYS


def _loader_stays_away(it: Installation) -> Iterator[State]:
    it.push_half()
    it.stop_loader()
    yield State.STAYS


def _loaders_change(it: Installation) -> Iterator[State]:
    it.start_loader("b")
    run, lists = it.push_half()
    yield State.PASSES
    it.stop_loader("b")
    it.world.send(run, lists)
    it.until(run)
    eventually(lambda: not it.is_unwell())
    yield State.STAYS


# 15 to 19 and 29: Redis


def _redis_restarts(it: Installation) -> Iterator[State]:
    run, lists = it.push_half()
    it.server.kill()
    eventually(it.is_unwell, seconds=60)
    yield State.PASSES
    it.server.start()
    eventually(lambda: not it.is_unwell(), seconds=60)
    it.world.send(run, lists)
    it.until(run)
    yield State.STAYS


def _redis_stays_away(it: Installation) -> Iterator[State]:
    it.push_half()
    it.server.kill()
    eventually(it.is_unwell, seconds=60)
    yield State.STAYS
    it.server.start()
    eventually(lambda: not it.is_unwell(), seconds=60)


def _empty_disk(it: Installation) -> Iterator[State]:
    it.server.kill()
    eventually(it.is_unwell, seconds=60)
    for kept in it.server.folder.glob("*.aof"):
        kept.unlink()
    shutil.rmtree(it.server.folder / "appendonlydir", ignore_errors=True)
    it.server.start()
    yield State.STAYS
    it.rebuild()


def _tail_is_cut(it: Installation) -> Iterator[State]:
    it.client.bgrewriteaof()
    eventually(lambda: not it.client.info("persistence")["aof_rewrite_in_progress"])
    run, lists = it.push_half()
    (file,) = it.server.folder.glob("**/*.aof")
    announced = file.stat().st_size
    it.world.send(run, lists)
    it.until(run)
    it.server.kill()
    with file.open("ab") as tail:
        tail.truncate(max(announced, file.stat().st_size - 700))
    eventually(it.is_unwell, seconds=60)
    yield State.PASSES
    it.server.start()
    eventually(lambda: not it.is_unwell(), seconds=60)
    it.until(run)
    yield State.STAYS


def _fail_over(it: Installation) -> Announcement:
    """Has one partition of the next run as a replica has it that got none of the last writes."""
    assert it.world.serving is not None
    layout = it.world.serving.layout
    prefix = layout.position(0).rpartition(":")[0]
    kept = {key: it.client.dump(key) for key in it.client.keys(f"{prefix}:*")}
    run = it.serve()
    it.stop_loader()
    for key in it.client.keys(f"{prefix}:*"):
        it.client.delete(key)
    for key, value in kept.items():
        it.client.restore(key, 0, value)
    assert damaged_partitions(RedisStore(it.client), run) == (0,)
    return run


def _fail_over_is_healed(it: Installation) -> Iterator[State]:
    run = _fail_over(it)
    yield State.PASSES
    it.start_loader()
    eventually(lambda: not damaged_partitions(RedisStore(it.client), run), seconds=60)
    eventually(lambda: not it.is_unwell())
    yield State.STAYS


def _fail_over_is_not_healed(it: Installation) -> Iterator[State]:
    _fail_over(it)
    yield State.STAYS


def _full(it: Installation) -> Iterator[State]:
    run, lists = it.push_half()
    it.client.config_set("maxmemory", 1)
    it.send_more(run, lists)
    eventually(it.is_unwell, seconds=60)
    yield State.STAYS
    it.client.config_set("maxmemory", "512mb")


def _too_small(it: Installation) -> Iterator[State]:
    it.client.config_set("maxmemory", it.client.info("memory")["used_memory"] + 50_000)
    it.until_failed(it.push())
    yield State.STAYS
    it.client.config_set("maxmemory", "512mb")


def _may_evict(it: Installation) -> Iterator[State]:
    run, lists = it.push_half()
    it.client.config_set("maxmemory-policy", "allkeys-lru")
    it.world.send(run, lists)
    eventually(it.is_unwell, seconds=60)
    yield State.STAYS
    it.client.config_set("maxmemory-policy", "noeviction")


def _read_only(it: Installation) -> Iterator[State]:
    run, lists = it.push_half()
    it.client.replicaof("127.0.0.1", closed_port())
    it.send_more(run, lists)
    eventually(it.is_unwell, seconds=60)
    yield State.STAYS
    it.client.replicaof("NO", "ONE")


def _refused_for_a_while(it: Installation) -> Iterator[State]:
    run, lists = it.push_half()
    it.client.execute_command("ACL", "SETUSER", "default", "-evalsha", "-eval")
    it.send_more(run, lists)
    eventually(it.is_unwell, seconds=60)
    yield State.PASSES
    it.client.execute_command("ACL", "SETUSER", "default", "+evalsha", "+eval")
    eventually(lambda: not it.is_unwell(), seconds=60)
    it.world.send(run, lists)
    it.until(run)
    yield State.STAYS


def _no_answers(it: Installation) -> Iterator[State]:
    os.kill(it.server.pid, signal.SIGSTOP)
    try:
        eventually(it.is_unwell, seconds=60)
        yield State.STAYS
    finally:
        os.kill(it.server.pid, signal.SIGCONT)


def _wiped(it: Installation) -> Iterator[State]:
    it.client.flushall()
    eventually(it.is_unwell, seconds=60)
    yield State.STAYS
    it.rebuild()


def _wiped_and_rebuilt(it: Installation) -> Iterator[State]:
    it.client.flushall()
    eventually(it.is_unwell, seconds=60)
    yield State.PASSES
    it.rebuild()
    eventually(lambda: not it.is_unwell(), seconds=60)
    yield State.STAYS


# 21 and 30: Kafka


def _broker_stays_away(it: Installation) -> Iterator[State]:
    lists = it.world.next_lists()
    run = it.announce(lists)
    it.stop_loader()
    away = KafkaConnection(servers=f"127.0.0.1:{closed_port()}")
    with Sender(run.layout.topic, away, delivery_timeout=1) as sender, pytest.raises(DeliveryError) as refused:
        send_begin(run, sender)
    it.job_ends(failure=str(refused.value))
    loader = it.start_loader(kafka=away)
    faults = "discovery_loader_faults_total"
    eventually(lambda: loader.metrics.registry.get_sample_value(faults, {"product": it.product}) != 0, seconds=60)
    eventually(it.is_unwell, seconds=60)
    yield State.STAYS
    it.stop_loader()


def _sent_again(it: Installation) -> Iterator[State]:
    run, lists = it.push_half()
    it.world.send(run, lists)
    it.until(run)
    yield State.STAYS


def _new_topic(it: Installation) -> None:
    topic, admin = ProductKeys(it.product).topic, admin_client(it.kafka)
    admin.delete_topics([topic])[topic].result(10)
    eventually(lambda: topic not in admin.list_topics(timeout=10).topics)
    ensure_topics(it.kafka, ProductKeys(it.product), PublishSettings(partitions=PARTITIONS))


def _topic_anew(it: Installation) -> Iterator[State]:
    _new_topic(it)
    yield State.PASSES
    it.serve()
    eventually(lambda: not it.is_unwell(), seconds=60)
    yield State.STAYS


def _topic_anew_in_a_push(it: Installation) -> Iterator[State]:
    it.push_half()
    _new_topic(it)
    eventually(lambda: not it.is_unwell(), seconds=60)
    yield State.STAYS


# 22 to 28: many at once, going back, clearing, shares, weeks, versions


def _late(it: Installation) -> Iterator[State]:
    lists = it.world.next_lists()
    late = it.announce(lists)
    it.serve()
    it.world.send(late, lists)
    it.until_failed(late)
    yield State.STAYS


def _swaps(it: Installation) -> Iterator[State]:
    for _ in range(3):
        it.serve()
        it.control.rollback(reason="to and fro")
        it.control.unhold()
    it.until_written_down()
    yield State.STAYS


def _rolled_back(it: Installation) -> Iterator[State]:
    it.serve()
    it.control.rollback(reason="bad lists")
    it.until(it.push(), RunEnding.HELD)
    it.until_written_down()
    yield State.STAYS
    it.control.unhold()


class _Killed(BaseException):
    """The end of a process in the middle of something."""


def _clearing(it: Installation) -> Iterator[State]:
    it.serve()
    later = Control.connect(it.client, it.product, clock=lambda: datetime.now(UTC) + timedelta(hours=2))
    with patch.object(it.client, "unlink", side_effect=_Killed), pytest.raises(_Killed):
        later.retire_unneeded()
    yield State.PASSES
    later.retire_unneeded()
    yield State.STAYS


def _half_of_the_users(it: Installation) -> Iterator[State]:
    it.control.share(Share.percent(50))
    it.until_written_down()
    yield State.STAYS
    it.control.share(EVERYBODY)


def _nobody(it: Installation) -> Iterator[State]:
    it.control.share(NOBODY)
    it.until_written_down()
    yield State.STAYS
    it.control.share(EVERYBODY)


def _ten_weeks(it: Installation) -> Iterator[State]:
    for week in range(10):
        if week % 3 == 2:
            it.until_failed(it.push(damages.one_lost))
        it.serve()
        later = datetime.now(UTC) + timedelta(days=7 * week + 1)
        Control.connect(it.client, it.product, clock=lambda later=later: later).retire_unneeded()
    it.until_written_down()
    yield State.STAYS


def _unknown_kind(it: Installation) -> Iterator[State]:
    it.push(of_kind(9, 9))
    eventually(it.is_unwell, seconds=60)
    yield State.STAYS


def _unreadable_record(it: Installation) -> Iterator[State]:
    runs = ProductKeys(it.product).runs
    it.client.hset(runs, mapping={"run-of-tomorrow": b"{}", "run-of-tomorrow:state": b"{}"})
    yield State.STAYS
    it.client.hdel(runs, "run-of-tomorrow", "run-of-tomorrow:state")


ROWS = (
    Row(1, "a record is lost", ["PushFailed"], _damaged(damages.one_lost)),
    Row(1, "nothing is sent", ["PushStalled"], _stands_still(damages.nothing_sent)),
    Row(2, "a record is lost, another one doubled", ["PushFailed"], _damaged(damages.one_lost_one_doubled)),
    Row(3, "every record comes twice", [], _harmless(damages.every_record_twice), "they are compared, and the same"),
    Row(4, "one number, two contents", ["PushFailed"], _damaged(damages.same_seq_other_value)),
    Row(5, "a byte is flipped", ["PushFailed", "DeadLetters"], _damaged(damages.value_flipped)),
    Row(6, "a record in another partition", ["PushFailed", "DeadLetters"], _damaged(damages.wrong_partition)),
    Row(7, "a whole partition is empty", ["PushFailed"], _damaged(damages.partition_empty)),
    Row(8, "END is missing", ["PushStalled"], _stands_still(damages.end_missing)),
    Row(8, "END comes before the data", ["PushFailed"], _damaged(damages.end_before_data)),
    Row(8, "BEGIN comes twice", [], _harmless(damages.begin_again_in_the_middle), "the second one says the same"),
    Row(9, "records after END", [], _harmless(damages.records_after_end), "they are read, and change nothing"),
    Row(9, "a run that nobody announced", ["DeadLetters"], _stranger),
    Row(10, "an announced count is off by one", ["PushFailed"], _off_by_one),
    Row(10, "a malformed BEGIN", ["DeadLetters", "PushStalled"], _malformed_begin),
    Row(10, "the announcement vanishes", ["DeadLetters"], _vanished),
    Row(11, "half of the users are missing", ["PushFailed"], _too_few),
    Row(11, "all lists are the same", ["GateFailed"], _all_the_same),
    Row(12, "a gate fails", ["GateFailed"], _gate_fails),
    Row(12, "a gate hangs", ["GateFailed"], _gate_hangs),
    Row(12, "what the gates said is missing", ["RunFailed"], _gate_is_missing),
    Row(12, "a run is sent that the gates stopped", ["PushFailed"], _sent_though_stopped),
    Row(13, "a record without a value", ["PushFailed", "DeadLetters"], _damaged(damages.tombstone)),
    Row(13, "a list is too large for Kafka", ["RunFailed", "PushStalled"], _oversize),
    Row(14, "a loader is killed, and started again", [], _loader_restarts, "it goes on at Redis' position"),
    Row(14, "a loader is killed, and stays away", ["LoaderAway", "PushStalled"], _loader_stays_away),
    Row(15, "Redis is killed, and started again", [], _redis_restarts, "within a minute; the loader goes on"),
    Row(15, "Redis is killed, and stays away", ["RedisAway"], _redis_stays_away),
    Row(15, "Redis comes back empty", ["NothingServes", "LoaderUnwell"], _empty_disk),
    Row(16, "the end of Redis' file is cut", [], _tail_is_cut, "the loader repeats what was lost"),
    Row(17, "a fail-over loses the last writes", [], _fail_over_is_healed, "a loader loads the partitions again"),
    Row(17, "the same, without a loader", ["PartitionsLost", "LoaderAway"], _fail_over_is_not_healed),
    Row(18, "Redis is full", ["RedisMemory", "LoaderUnwell", "PushStalled"], _full),
    Row(18, "maxmemory is too small for the run", ["RedisMemory", "PushFailed"], _too_small),
    Row(18, "Redis may evict", ["RedisUnsafe", "LoaderUnwell", "PushStalled"], _may_evict),
    Row(19, "Redis is read-only", ["LoaderUnwell", "PushStalled"], _read_only),
    Row(19, "Redis refuses writes for a minute", [], _refused_for_a_while, "the loader waits, and goes on"),
    Row(19, "Redis does not answer in time", ["RedisAway"], _no_answers),
    Row(20, "loaders come and go", [], _loaders_change, "those that are there share the partitions"),
    Row(21, "the broker stays away", ["RunFailed", "LoaderUnwell", "PushStalled"], _broker_stays_away),
    Row(21, "a push is sent again from its begin", [], _sent_again, "what came before is compared, and the same"),
    Row(22, "an older run arrives late", ["PushFailed"], _late),
    Row(23, "many swaps and rollbacks", [], _swaps, "each answer is of one run"),
    Row(24, "a rollback, then a push", ["Held"], _rolled_back),
    Row(25, "clearing is killed half-way", [], _clearing, "whoever comes next ends it"),
    Row(26, "half of the users are served", [], _half_of_the_users, "it is as it should be"),
    Row(26, "nobody is served", ["Stopped"], _nobody),
    Row(27, "ten weeks, every third with a failed push", [], _ten_weeks, "the next run serves; memory stays the same"),
    Row(28, "a record of a later version", ["LoaderUnwell", "PushStalled"], _unknown_kind),
    Row(28, "a run of a later version", ["RecordUnreadable"], _unreadable_record),
    Row(29, "Redis is wiped", ["NothingServes", "LoaderUnwell"], _wiped),
    Row(29, "the same, and `discovery rebuild`", [], _wiped_and_rebuilt, "within two minutes", is_alone=True),
    Row(30, "the topic is made anew", [], _topic_anew, "the loader begins at its beginning"),
    Row(30, "the same in the middle of a push", ["PushStalled"], _topic_anew_in_a_push),
)  # fmt: skip


def table() -> str:
    """Returns the table of the documentation."""
    lines = ["| fault | what happens | alerts |", "| --- | --- | --- |"]
    for row in ROWS:
        alerts = ", ".join(f"[{alert}](runbook.md#discovery{alert.lower()})" for alert in row.alerts)
        lines.append(f"| {row.fault} | {row.what} | {alerts or f'none: {row.heals}'} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table())
