"""One user deleted everywhere: before, during and after a push, twice, and for every push to come.

Each test ends with the same words: no hash in Redis has the user as a field with a list, readers answer with the
fallback list, every run verifies, and everybody else has what they had.
"""

from collections.abc import Iterator

import pytest
import redis
from confluent_kafka import Producer

from conf.connections import KafkaConnection
from conf.ids import IdKind, UserId
from publish.clock import utc_now
from publish.errors import BadUserId, BrokerUnreachable, MalformedMessage
from publish.operate.control import Control
from publish.operate.forget import Forgetter, Forgotten
from publish.operate.wait import RunEnding
from publish.read.reader import Reader
from publish.runs.erasures import Erasure, ErasureLog, enforce_erasures, erased_ids, restore_erasures
from publish.runs.registry import RunRegistry
from publish.runs.run import RunState
from publish.store.redis_store import RedisStore
from publish.wire.announcement import Announcement
from publish.wire.keys import ProductKeys
from tests.publish.support.pushing import (
    PARTITIONS,
    announce,
    ending_of,
    eventually,
    lists_of,
    loading,
    messages_of,
    new_product,
    progress,
    publish_directly,
    send,
    stored,
    wire_of,
)
from tests.publish.support.samples import Lists, closed_port

USER = 7
FALLBACK = (900, 901)


@pytest.fixture
def product(kafka: KafkaConnection, clean_redis: redis.Redis) -> Iterator[str]:
    """A product of the test's own, on a Redis that knows nothing else."""
    return new_product(kafka)


def forget(
    kafka: KafkaConnection, client: redis.Redis, product: str, user: UserId = USER, *, ids: IdKind = "int64"
) -> Forgotten:
    log, registry, store = ErasureLog(kafka, product, timeout=10), RunRegistry(client, product), RedisStore(client)
    return Forgetter(log, registry, store, ids=ids, partitions=PARTITIONS).forget(user, "asked by letter")


def push(kafka: KafkaConnection, client: redis.Redis, product: str, lists: Lists) -> Announcement:
    """A run on its way; for the loader to load."""
    run = announce(client, product, lists, first=Control.connect(client, product).pointers.read().treatment is None)
    send(kafka, run.layout.topic, wire_of(run, lists))
    return run


def holders_of(client: redis.Redis, user: int) -> set[str]:
    """Every hash that holds anything but the user's hash under their id; every set of erased users that names them."""
    name, found = str(user).encode(), set[str]()
    for key in client.scan_iter(count=1_000):
        kind, text = client.type(key), key.decode()
        if (kind == b"hash" and not text.endswith(":erased") and client.hexists(key, name)) or (
            kind == b"set" and client.sismember(key, name)
        ):
            found.add(text)
    return found


def is_forgotten(client: redis.Redis, serving: Announcement, lists: Lists, *, user: int = USER) -> None:
    """What holds after every fault and in every order."""
    layout = serving.layout
    assert holders_of(client, user) == {layout.erased(layout.partition_of(user))}
    control = Control.connect(client, serving.product)
    runs = [run for run in control.registry.list_runs() if run.state is RunState.READY]
    assert serving.run in [run.name for run in runs]
    assert {run.name: control.verify(run.name) for run in runs} == {run.name: () for run in runs}
    reader = Reader(client, serving.product)
    answer = reader.lookup(user)
    assert (answer.run, answer.kind, answer.source_ids) == (serving.run, "fallback", FALLBACK)
    others = {other: sources for other, sources in lists.items() if other != user}
    answers = {other: reader.lookup(other) for other in others}
    assert {other: (a.run, a.kind, list(a.source_ids)) for other, a in answers.items()} == {
        other: (serving.run, "list", sources) for other, sources in others.items()
    }


def test_after_a_push_and_in_every_kept_run(kafka: KafkaConnection, clean_redis: redis.Redis, product: str) -> None:
    client, lists = clean_redis, lists_of(60)
    old = publish_directly(client, product, first=True)
    Control.connect(client, product).promote(old.run)
    run = publish_directly(client, product)
    Control.connect(client, product).promote(run.run)
    assert len(holders_of(client, USER)) == 2
    done = forget(kafka, client, product)
    assert (done.known_before, done.looked_into, done.removed_from) == (False, (old.run, run.run), (old.run, run.run))
    is_forgotten(client, run, lists)
    again = forget(kafka, client, product)
    assert (again.known_before, again.removed_from) == (True, ())
    assert again.erasure == done.erasure, "the first word stands"
    is_forgotten(client, run, lists)
    Control.connect(client, product).rollback(reason="test")
    is_forgotten(client, old, lists)


def test_before_a_push_of_an_old_snapshot_and_the_next(
    kafka: KafkaConnection, clean_redis: redis.Redis, product: str
) -> None:
    client, lists = clean_redis, lists_of(60)
    assert forget(kafka, client, product).looked_into == ()
    with loading(kafka, client, product):
        for _ in range(2):
            run = push(kafka, client, product, lists)
            waited = ending_of(client, run)
            assert waited.ending is RunEnding.SERVING, waited.reason
            is_forgotten(client, run, lists)
        send(kafka, run.layout.topic, wire_of(run, lists))  # and all of it once more
        other = push(kafka, client, product, lists_of(60, shift=1))
        assert ending_of(client, other).ending is RunEnding.SERVING
    is_forgotten(client, other, lists_of(60, shift=1))


def test_at_any_moment_of_a_push(kafka: KafkaConnection, clean_redis: redis.Redis, product: str) -> None:
    client, lists = clean_redis, lists_of(900)
    run = announce(client, product, lists, first=True)
    wire = wire_of(run, lists)
    begins, data, ends = wire[:PARTITIONS], wire[PARTITIONS:-PARTITIONS], wire[-PARTITIONS:]
    users = [int(key) for _, key, _ in data[:: len(data) // 8] if key is not None]
    with loading(kafka, client, product):
        forget(kafka, client, product, users[0])  # announced
        send(kafka, run.layout.topic, [*begins, *data[: len(data) // 2]])
        forget(kafka, client, product, users[1])  # on its way, and perhaps there
        eventually(lambda: progress(client, run) >= len(data) // 2 - 1)
        assert forget(kafka, client, product, users[2]).removed_from == (run.run,)  # there
        assert forget(kafka, client, product, users[-1]).removed_from == ()  # not there yet
        send(kafka, run.layout.topic, [*data[len(data) // 2 :], *ends])
        for user in users[3:-1]:  # while it loads, is verified, is promoted
            forget(kafka, client, product, user)
        waited = ending_of(client, run)
    assert waited.ending is RunEnding.SERVING, waited.reason
    left = {user: sources for user, sources in lists.items() if user not in users}
    for user in users:
        is_forgotten(client, run, left if user == users[0] else {}, user=user)


def test_what_kafka_keeps(kafka: KafkaConnection, clean_redis: redis.Redis, product: str) -> None:
    done = forget(kafka, clean_redis, product)
    (message,) = messages_of(kafka, ProductKeys(product).erasures_topic)
    assert message.key() == b"7"
    assert Erasure.model_validate_json(message.value() or b"") == done.erasure
    assert (done.erasure.user, done.erasure.reason) == ("7", "asked by letter")
    assert ErasureLog(kafka, product).read() == (done.erasure,)


def test_a_redis_that_lost_everything_is_told_again(
    kafka: KafkaConnection, clean_redis: redis.Redis, product: str
) -> None:
    client, lists = clean_redis, lists_of(60)
    forget(kafka, client, product)
    client.flushall()
    run = announce(client, product, lists, first=True)
    restore_erasures(kafka, client, [run.layout])
    with loading(kafka, client, product):
        send(kafka, run.layout.topic, wire_of(run, lists))
        assert ending_of(client, run).ending is RunEnding.SERVING
    is_forgotten(client, run, lists)


def test_a_redis_that_went_back_in_time_is_told_again(
    kafka: KafkaConnection, clean_redis: redis.Redis, product: str
) -> None:
    client, lists = clean_redis, lists_of(60)
    run = publish_directly(client, product, first=True)
    Control.connect(client, product).promote(run.run)
    back = {key: client.dump(key) for key in client.scan_iter()}
    forget(kafka, client, product)
    client.flushall()
    for key, content in back.items():
        client.restore(key, 0, content)
    assert len(holders_of(client, USER)) == 1, "the user is back"
    erasures, runs = ErasureLog(kafka, product).read(), RunRegistry(client, product).list_runs()
    home = run.layout.partition_of(USER)
    enforce_erasures(RedisStore(client), runs, run.layout, {*range(PARTITIONS)} - {home}, erasures)
    assert len(holders_of(client, USER)) == 1, "of another loader's partition"
    for _ in range(2):
        enforce_erasures(RedisStore(client), runs, run.layout, {home}, erasures)
        is_forgotten(client, run, lists)


def test_a_cleared_run_stays_cleared(kafka: KafkaConnection, clean_redis: redis.Redis, product: str) -> None:
    run = publish_directly(clean_redis, product)
    Control.connect(clean_redis, product).clear(run.run)
    assert forget(kafka, clean_redis, product).looked_into == ()
    assert stored(clean_redis, run) == {}
    assert not clean_redis.exists(*(run.layout.erased_in(run.run, p) for p in range(PARTITIONS)))


@pytest.mark.parametrize(("user", "ids"), [("007", "int64"), ("x", "int64"), (2**63, "int64"), ("", "string")])
def test_who_cannot_be_a_user_is_refused_before_anything_happens(
    kafka: KafkaConnection, clean_redis: redis.Redis, product: str, user: UserId, ids: IdKind
) -> None:
    with pytest.raises(BadUserId):
        forget(kafka, clean_redis, product, user, ids=ids)
    assert ErasureLog(kafka, product).read() == ()
    assert clean_redis.keys() == []


def test_strings_and_numbers(kafka: KafkaConnection, clean_redis: redis.Redis, product: str) -> None:
    for user in ("ü", "u 2", "7"):
        forget(kafka, clean_redis, product, user, ids="string")
    erasures = ErasureLog(kafka, product).read()
    assert erased_ids(erasures, "string", product) == {"ü", "u 2", "7"}
    with pytest.raises(MalformedMessage, match="`ids` in the settings is wrong"):
        erased_ids(erasures, "int64", product)
    before = Erasure(user="x" * 300, at=utc_now(), reason="asked when ids had no limit")
    assert erased_ids([before], "string", product) == {before.user}  # it stops no run


def test_without_kafka_nothing_is_deleted(kafka: KafkaConnection, clean_redis: redis.Redis, product: str) -> None:
    run = publish_directly(clean_redis, product)
    nowhere = KafkaConnection(servers=f"127.0.0.1:{closed_port()}")
    before = stored(clean_redis, run)
    log, registry = ErasureLog(nowhere, product, timeout=1), RunRegistry(clean_redis, product)
    with pytest.raises(BrokerUnreachable):
        Forgetter(log, registry, RedisStore(clean_redis), ids="int64", partitions=PARTITIONS).forget(USER, "asked")
    assert stored(clean_redis, run) == before
    assert holders_of(clean_redis, USER) == {run.layout.bucket(run.run, *run.layout.place_of(USER))}


@pytest.mark.parametrize("value", [b"{}", b'{"user":"8","at":"2026-11-16T03:00:00Z","reason":""}'])
def test_an_entry_that_cannot_be_read_stops_everybody(kafka: KafkaConnection, product: str, value: bytes) -> None:
    log = ErasureLog(kafka, product)
    producer = Producer({"bootstrap.servers": kafka.servers})
    for key, said in ((b"9", None), (b"7", value)):
        producer.produce(log.topic, key=key, value=said)
    assert producer.flush(180) == 0
    with pytest.raises(MalformedMessage, match=f"{log.topic}.*offset 1 of partition 0"):
        log.read()
    producer.produce(log.topic, key=b"7", value=None)
    assert producer.flush(180) == 0
    assert log.read() == ()
