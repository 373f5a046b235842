"""One push as the weekly job makes it, in a process of its own that may be killed and started again.

    python -m benchmarks.crash.push ORDER          (JSON of `Order`; KAFKA_… and REDIS_URL from the environment)

Takes the lease, announces, sends BEGIN, lists and END, and waits until the run serves or certainly will not; prints
each step as a line of JSON. A later attempt reads the announcement of the first from a file, as the job does from its
manifest. Exits with 0 serving, 3 held, 4 failed, 5 deadline passed, 1 try again.
"""

import json
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.crash.damage import Raw, damaged, send_raw
from benchmarks.crash.plan import Damage
from benchmarks.crash.truth import LIST_SIZE, PARTITIONS, PushedLists
from conf.base import Strict
from conf.connections import KafkaConnection
from conf.environment import Environment
from conf.errors import DiscoveryError
from conf.settings import PublishSettings
from conf.share import EVERYBODY
from publish.connect.confirmed_sender import KafkaPointerLog
from publish.connect.redis_clients import StoreClient, redis_client
from publish.connect.topics import ensure_topics
from publish.errors import LeaseHeld
from publish.operate.control import Control
from publish.operate.wait import Waited, wait
from publish.runs.lease import Lease
from publish.runs.registry import RunRegistry
from publish.runs.run_log import KafkaRunLog
from publish.send.producer import send_begin, send_end, send_partitions
from publish.send.sender import Sender
from publish.send.snapshot import measure_partition, read_partition
from publish.store.durability import require_copies
from publish.wire.announcement import Announcement, Slice, encode_fallback
from publish.wire.encoding import encode_list
from publish.wire.keys import Layout, ProductKeys
from publish.wire.messages import MARK_KEY, MessageKind, end_value, pack

PRODUCT = "crash"
SALT = "crash-1"
SETTINGS = PublishSettings(
    partitions=PARTITIONS, load_deadline_seconds=90, stall_seconds=20, delivery_timeout_seconds=30
)
"""Short deadlines, so that a push that cannot serve fails soon."""
LEASE_SECONDS = 8.0


class Order(Strict):
    """The arguments of a publisher."""

    seed: int
    users: int
    number: int
    home: str
    """Folder with the files that attempts share."""
    first: bool = False
    damage: Damage = "none"
    partition: int = 0
    draw: float = 0.5
    pause: float = 0.0
    polite: bool = True


def push(order: Order, kafka: KafkaConnection, client: StoreClient) -> Waited:
    """Pushes and waits until the run serves or fails. Raises what keeps it from being sent."""
    control = Control.connect(client, PRODUCT, log=KafkaPointerLog(kafka))
    run = _announcement(order, control.registry)
    with _lease(order, client, run.run) as lease:
        ensure_topics(kafka, run.layout, SETTINGS)
        if lease is not None:
            lease.check()
        control.registry.announce(run, None if lease is None else lease.token)
        require_copies(client, run)
        KafkaRunLog(kafka).append(run)
        say("ANNOUNCED", epoch=run.epoch)
        seconds = SETTINGS.delivery_timeout_seconds
        with Sender(run.layout.topic, kafka, delivery_timeout=seconds) as sender:
            send_begin(run, sender)
            say("BEGUN")
            sent = [_send(order, run, kafka, partition, sender) for partition in range(run.partitions)]
            if lease is not None:
                lease.check()
            say("ENDING")
            if order.damage == "no_end":
                _end_all_but(order.partition, run, kafka, seconds)
            else:
                send_end(run, sent, sender)
        say("ENDED")
        return wait(run.run, control.lifecycle, control.pointers)


def say(step: str, **facts: Any) -> None:
    """Prints a step of this attempt as a line of JSON."""
    print(json.dumps({"step": step, **facts}), flush=True)


def _announcement(order: Order, registry: RunRegistry) -> Announcement:
    """Returns the announcement of an earlier attempt, else a new one with an epoch of its own."""
    kept = Path(order.home) / f"push-{order.number}.json"
    if kept.exists():
        return Announcement.from_json(kept.read_bytes())
    truth = PushedLists(order.seed, order.users)
    count = len(truth.rows(order.number)[0])
    layout = Layout.plan(PRODUCT, PARTITIONS, count, SETTINGS.users_per_bucket)
    batches = truth.batches(order.number, layout.buckets)
    fallback = encode_list(pa.array(truth.fallback(order.number)), None, "int64")
    run = Announcement(
        run=truth.run_of(order.number),
        epoch=registry.next_epoch(),
        product=PRODUCT,
        as_of=date(2026, 11, 16),
        partitions=PARTITIONS,
        buckets=layout.buckets,
        tags=layout.tags,
        ids="int64",
        list_size=LIST_SIZE,
        salt=SALT,
        share_bp=EVERYBODY,
        slices=tuple(measure_partition([rows], place, layout, "int64") for place, rows in enumerate(batches)),
        fallback=encode_fallback(fallback),
        first=order.first,
        scheduled=True,
        gates_passed=True,
        max_change_of_users=0.5,
        config_hash="0" * 16,
        created_at=datetime.now(UTC),
        load_deadline_seconds=SETTINGS.load_deadline_seconds,
        stall_seconds=SETTINGS.stall_seconds,
    )
    unfinished = kept.with_suffix(".new")
    unfinished.write_bytes(run.canonical)
    unfinished.replace(kept)
    return run


def _lease(order: Order, client: StoreClient, run: str) -> AbstractContextManager[Lease | None]:
    """Returns the product's lease, and waits for its holder up to three lease times."""
    if not order.polite:
        return nullcontext()
    deadline = time.monotonic() + 3 * LEASE_SECONDS
    while True:
        try:
            return Lease.acquire(client, ProductKeys(PRODUCT), run, ttl=LEASE_SECONDS)
        except LeaseHeld:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def _send(order: Order, run: Announcement, kafka: KafkaConnection, partition: int, sender: Sender) -> Slice:
    time.sleep(order.pause)
    batch = PushedLists(order.seed, order.users).batches(order.number, run.buckets)[partition]
    if order.damage in ("none", "no_end") or partition != order.partition:
        return send_partitions([(partition, [batch])], run, sender)[0]
    records = [
        Raw(partition, key, pack(MessageKind.DATA, run.epoch, some.first_seq + place, key, payload))
        for some in read_partition([batch], partition, run.layout, "int64")
        for place, (key, payload) in enumerate(zip(some.keys, some.payloads, strict=True))
    ]
    seconds = SETTINGS.delivery_timeout_seconds
    send_raw(kafka, run.layout.topic, damaged(order.damage, records, order.draw, run.epoch), timeout=seconds)
    return run.slices[partition]


def _end_all_but(partition: int, run: Announcement, kafka: KafkaConnection, seconds: float) -> None:
    ends = [Raw(piece.partition, MARK_KEY, end_value(run, piece)) for piece in run.slices]
    send_raw(kafka, run.layout.topic, [end for end in ends if end.partition != partition], timeout=seconds)


def main(argv: list[str]) -> int:
    """Runs the publisher. Returns its exit code."""
    order, environment = Order.model_validate_json(argv[0]), Environment.read()
    kafka = environment.need_kafka()
    try:
        waited = push(order, kafka, redis_client(environment.need_redis()))
    except DiscoveryError as error:
        say("ERROR", sort=type(error).__name__, reason=str(error))
        return error.exit_code
    say("DONE", outcome=waited.ending.name, reason=waited.reason)
    return waited.ending.value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
