"""Pushing a small run through the real broker into the real Redis, and looking at what came out."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Any

import redis
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from conf.connections import KafkaConnection
from conf.settings import PublishSettings
from publish.connect.topics import ensure_topics
from publish.load.loader import Loader
from publish.operate.control import Control
from publish.operate.wait import Waited, wait
from publish.read.reader import Reader
from publish.runs.registry import RunRegistry
from publish.store.redis_store import Position, RedisStore, Step
from publish.store.replies import Status
from publish.wire.announcement import Announcement
from publish.wire.encoding import encode_rows
from publish.wire.keys import ProductKeys
from publish.wire.messages import ENVELOPE_BYTES, MARK_KEY, MessageKind, begin_value, end_value, pack
from tests.publish.support.records import Record, batch_of
from tests.publish.support.samples import Lists, announcement_of, batches_of

PARTITIONS = 3
PATIENCE = 180
"""Seconds after which what must come does not come any more, on a machine however busy."""
_PRODUCTS, _RUNS = count(), count()
Wire = list[tuple[int, bytes | None, bytes | None]]
"""Records to send: partition, key, value."""


def new_product(kafka: KafkaConnection) -> str:
    """A product of its own, whose topics exist."""
    product = f"push_{int(time.time())}_{next(_PRODUCTS)}"
    ensure_topics(kafka, ProductKeys(product), PublishSettings(partitions=PARTITIONS), timeout=PATIENCE)
    return product


def lists_of(users: int, *, shift: int = 0) -> Lists:
    """Lists of two sources for users 0 … users − 1; `shift` makes them another week's."""
    return {user: [user + shift + 1, user + shift + 2] for user in range(users)}


def announce(client: redis.Redis, product: str, lists: Lists, **changes: Any) -> Announcement:
    """An announced run with an epoch from this Redis."""
    registry = RunRegistry(client, product)
    run = announcement_of(
        lists, product=product, partitions=PARTITIONS, epoch=registry.next_epoch(), run=f"run-{next(_RUNS)}"
    )
    run = run.model_copy(update={"created_at": datetime.now(UTC), **changes})
    run = Announcement.model_validate(run.model_dump())
    registry.announce(run)
    return run


def wire_of(run: Announcement, lists: Lists) -> Wire:
    """Every record of a run in sending order: BEGINs, then data partition by partition, then ENDs."""
    begins: Wire = [(p, MARK_KEY, begin_value(run, p)) for p in range(run.partitions)]
    ends: Wire = [(p, MARK_KEY, end_value(run, run.slices[p])) for p in range(run.partitions)]
    return [*begins, *data_of(run, lists), *ends]


def data_of(run: Announcement, lists: Lists) -> Wire:
    """The data records of a run."""
    data: Wire = []
    for partition, batch in enumerate(batches_of(lists, run.partitions, run.ids, run.buckets)):
        keys = [str(user).encode() for user in batch.column("user_id").to_pylist()]
        for seq, (key, payload) in enumerate(zip(keys, encode_rows(batch, run.ids), strict=True)):
            data.append((partition, key, pack(MessageKind.DATA, run.epoch, seq, key, payload)))
    return data


def send(kafka: KafkaConnection, topic: str, wire: Wire) -> None:
    """Send records as they are."""
    producer = Producer({"bootstrap.servers": kafka.servers, "linger.ms": 5})
    for partition, key, value in wire:
        producer.produce(topic, key=key, value=value, partition=partition)
    assert producer.flush(PATIENCE) == 0


@contextmanager
def loading(kafka: KafkaConnection, client: redis.Redis, product: str) -> Iterator[Loader]:
    """A loader that runs on a thread for the length of the block."""
    loader, stop = Loader(kafka, client, product), threading.Event()
    thread = threading.Thread(target=loader.run, args=(stop,))
    thread.start()
    try:
        yield loader
    finally:
        stop.set()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def ending_of(client: redis.Redis, run: Announcement, *, deadline: float = PATIENCE) -> Waited:
    """How a run ended."""
    control = Control.connect(client, run.product)
    return wait(run.run, control.lifecycle, control.pointers, deadline=deadline)


def served(
    client: redis.Redis, product: str, users: Sequence[int]
) -> dict[int, tuple[str | None, str, tuple[Any, ...]]]:
    """What a reader says of each user: run, kind of answer, sources."""
    reader = Reader(client, product)
    answers = [reader.lookup(user) for user in users]
    return {int(a.user_id): (a.run, a.kind, a.source_ids) for a in answers}


def expected(run: Announcement, lists: Lists) -> dict[int, tuple[str | None, str, tuple[Any, ...]]]:
    """What readers must say when exactly this run serves."""
    return {int(user): (run.run, "list", tuple(sources)) for user, sources in lists.items()}


def stored(client: redis.Redis, run: Announcement) -> dict[bytes, bytes]:
    """Every list of a run as it lies in Redis."""
    found: dict[bytes, bytes] = {}
    for partition in range(run.partitions):
        for key in run.layout.bucket_keys(run.run, partition):
            found.update(client.hgetall(key))
    return found


def messages_of(kafka: KafkaConnection, topic: str, partition: int = 0) -> list[Message]:
    """Everything that is in a partition now."""
    consumer = Consumer({"bootstrap.servers": kafka.servers, "group.id": "test", "enable.auto.commit": False})
    try:
        where = TopicPartition(topic, partition, 0)
        _, end = consumer.get_watermark_offsets(where, timeout=PATIENCE)
        consumer.assign([where])
        found: list[Message] = []
        while len(found) < end:
            found += consumer.consume(end - len(found), timeout=5)
        return found
    finally:
        consumer.close()


def eventually(truth: Callable[[], bool], *, seconds: float = PATIENCE) -> None:
    """Return as soon as something is true; fail when it is not in time."""
    deadline = time.monotonic() + seconds
    while not truth():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


def await_file(client: redis.Redis) -> None:
    """Return when all that Redis was told is in its append-only file, which outlives a kill."""
    eventually(lambda: client.info("persistence")["aof_buffer_length"] == 0)


def await_rewritten(client: redis.Redis) -> None:
    """Return when Redis has written its append-only file anew, as it was told to."""
    doing = ("aof_rewrite_in_progress", "aof_rewrite_scheduled")
    eventually(lambda: not any(client.info("persistence")[name] for name in doing))


def progress(client: redis.Redis, run: Announcement) -> int:
    """Lists of a run that are stored."""
    return sum(part.loaded for part in RedisStore(client).progress(run))


def soon(check: Callable[[], None], *, seconds: float = PATIENCE) -> None:
    """Return when a check passes, as whoever fails a run fences it a moment later; else fail as the check does."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            check()
        except AssertionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def agrees(client: redis.Redis, product: str) -> None:
    """The pointer soon names a READY run whose lists are all there, and what is not over has its keys."""
    soon(lambda: _agrees(client, product))


def _agrees(client: redis.Redis, product: str) -> None:
    control = Control.connect(client, product)
    status = control.status()
    assert status.serving is not None
    assert status.serving.state.value == "READY"
    assert status.serving.status.cleared is None
    assert len(stored(client, status.serving.announcement)) == status.serving.announcement.users
    for report in control.runs():
        parts = RedisStore(client).progress(report.run.announcement)
        if report.run.state.is_over:
            assert all(part.state != "LOADING" for part in parts)


def load_directly(client: redis.Redis, run: Announcement, lists: Lists, *, leave: int = 0) -> None:
    """Put a run into Redis as a loader would, without Kafka; the last `leave` partitions stay unverified."""
    store, registry = RedisStore(client), RunRegistry(client, run.product)
    registry.start_loading(run.run)
    for partition in range(run.partitions):
        records = records_of(run, lists, partition)
        moves = iter(range(1, 10**6))

        def step(partition: int = partition, moves: Iterator[int] = moves) -> Step:
            believed = store.position(run.layout, partition)
            return Step(partition, believed, Position(10_000 * run.epoch + next(moves), "topic-a"))

        assert store.begin(run, step()).status is Status.BEGUN
        assert not records or store.load_batch(run, step(), batch_of(records)).status is Status.LOADED
        if partition < run.partitions - leave:
            assert store.mark_verified(run, step()).status is Status.VERIFIED


def records_of(run: Announcement, lists: Lists, partition: int) -> list[Record]:
    """The records of one partition of a run, at most MAX_BATCH of them."""
    wire = [record for record in data_of(run, lists) if record[0] == partition]
    keyed = [(seq, key, value) for seq, (_, key, value) in enumerate(wire) if key is not None and value is not None]
    place = run.layout.place_of_key
    return [Record(seq, place(key)[1], key, value[ENVELOPE_BYTES:]) for seq, key, value in keyed]


def publish_directly(client: redis.Redis, product: str, users: int = 60, **changes: Any) -> Announcement:
    """A run that is READY, without Kafka and without being promoted."""
    lists = lists_of(users)
    run = announce(client, product, lists, **changes)
    load_directly(client, run, lists)
    assert RunRegistry(client, product).ready(run.run)
    return run
