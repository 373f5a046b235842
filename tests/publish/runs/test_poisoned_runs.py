"""One run's record or values, whatever they are, neither end nor block anything else; against the real Redis."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from confluent_kafka import Consumer
from hypothesis import assume, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from conf.connections import KafkaConnection
from conf.errors import DiscoveryError
from conf.share import Share
from jobs.cli.views import runs as runs_view
from jobs.cli.views.status import status as status_view
from publish.errors import MalformedMessage, PointerUnreadable, RunFault, RunRefused
from publish.load.loader_metrics import LoaderMetrics
from publish.load.periodic_tasks import PeriodicTasks
from publish.load.run_cache import RunCache
from publish.operate.control import Control
from publish.operate.forget import Forgetter
from publish.operate.wait import RunEnding, wait
from publish.runs.erasures import ErasureLog
from publish.runs.registry import RunRegistry
from publish.runs.run import RunState
from publish.runs.run_log import kept_runs
from publish.store.redis_store import RedisStore
from publish.wire.announcement import Announcement
from publish.wire.keys import ProductKeys
from tests.publish.support.pushing import (
    Wire,
    announce,
    ending_of,
    eventually,
    expected,
    lists_of,
    load_directly,
    loading,
    messages_of,
    new_product,
    publish_directly,
    send,
    served,
    stored,
    wire_of,
)

PRODUCT = "poisoned"
KEYS = ProductKeys(PRODUCT)
LISTS = lists_of(6)
NEWEST = 2**63 - 1
"""Epoch of the good run."""
NUMBERS = [
    0,
    -1,
    1,
    2**31,
    2**32,
    2**53,
    2**63 - 1,
    2**63,
    10**14,
    10**30,
    10**400,
    1e300,
    -0.5,
    float("inf"),
    float("nan"),
]
TEXTS = ["", "7", "\x1b[2J", "{}:x", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"]
EXTREMES = st.sampled_from([*NUMBERS, *TEXTS, True, None, [], {}])
FIELDS = st.binary(max_size=12).filter(lambda name: name != b"-")  # which our scripts delete, see move.lua
NO_CONSUMER, METRICS = Consumer({"group.id": "none", "log_level": 0}), LoaderMetrics(PRODUCT)
STATES = st.sampled_from([*RunState, "SOON", "", None, 7])


def tasks_of(client: redis.Redis) -> Callable[[], None]:
    """The periodic tasks of a loader that has no partitions; every call does all that can be due."""
    control, seconds = Control.connect(client, PRODUCT), iter(range(0, 10**9, 100))
    run_due = PeriodicTasks(
        RunCache(control.registry),
        control.lifecycle,
        control.pointers,
        control.housekeeping,
        monotonic=lambda: next(seconds),
    ).run_due
    return lambda: run_due(NO_CONSUMER, {}, METRICS)


def empty(client: redis.Redis) -> None:
    """Forget the product."""
    client.delete(KEYS.runs, KEYS.pointer, KEYS.epoch, *client.keys(f"{{{PRODUCT}.*}}*"))


def changed(run: Announcement, changes: Mapping[str, Any]) -> bytes:
    """The announcement with other values, as anybody with write access could write it."""
    tree = json.loads(run.canonical)
    for path, value in sorted(changes.items(), key=lambda change: "." not in change[0]):
        name, _, inner = path.partition(".")
        if inner:
            tree[name][0][inner] = value
        else:
            tree[name] = value
    return json.dumps(tree).encode()


def is_well(client: redis.Redis, good: Announcement, others: int) -> None:
    """Every one of the loader's rounds and of the operator's questions is answered, and the good run serves."""
    run_due, control = tasks_of(client), Control.connect(client, PRODUCT)
    for _ in range(3):
        run_due()
    assert control.pointers.read().treatment == good.run
    assert wait(good.run, control.lifecycle, control.pointers).ending is RunEnding.SERVING
    status, runs, unreadable = control.status(), control.runs(), control.unreadable()
    assert len(runs) + len(unreadable) == 1 + others
    for view in (status_view(status, 0), runs_view.runs(runs, unreadable)):
        assert "\x1b" not in view.text
        json.loads(view.as_json())
    for name in (report.run.name for report in runs if report.run.name != good.run):
        with suppress(DiscoveryError):
            wait(name, control.lifecycle, control.pointers, deadline=0, sleep=lambda _: None)
        with suppress(DiscoveryError):
            control.verify(name)
        with suppress(DiscoveryError):
            control.clear(name)
    assert control.pointers.read().treatment == good.run
    assert len(stored(client, good)) == good.users


@hypothesis_settings(max_examples=60)
@given(
    values=st.dictionaries(st.sampled_from([*Announcement.model_fields, "slices.count", "slices.bytes"]), EXTREMES),
    status=st.fixed_dictionaries(
        {"state": STATES}, optional={"since": EXTREMES, "let_go": EXTREMES, "cleared": EXTREMES}
    ),
    loaded=st.booleans(),
)
@example(values={"load_deadline_seconds": 10**14}, status={"state": RunState.ANNOUNCED}, loaded=False)
@example(values={"slices.bytes": 10**400}, status={"state": RunState.LOADING}, loaded=True)
@example(values={"replicas": 2**63 - 1}, status={"state": RunState.LOADING}, loaded=True)
@example(values={"buckets": 2**63 - 1}, status={"state": RunState.FAILED}, loaded=False)
@example(values={"format": 2}, status={"state": RunState.ANNOUNCED}, loaded=False)
@example(values={}, status={"state": RunState.RETIRED, "let_go": "9999-12-31T23:59:59-12:00"}, loaded=True)
@example(values={"epoch": NEWEST}, status={"state": RunState.LOADING}, loaded=False)
def test_no_value_of_a_run_is_anybody_elses_fault(
    redis_url: str, values: Mapping[str, Any], status: Mapping[str, Any], loaded: bool
) -> None:
    with redis.Redis.from_url(redis_url) as client:
        empty(client)
        bad = announce(client, PRODUCT, LISTS, first=True)
        if loaded:
            load_directly(client, bad, LISTS)
        client.set(KEYS.epoch, NEWEST - 1)
        good = publish_directly(client, PRODUCT, users=6, first=True)
        assume(
            not (values.get("epoch") == NEWEST and status["state"] is RunState.READY)
        )  # two runs that may both serve
        state = {"since": datetime.now(UTC).isoformat(), **status}
        client.hset(
            KEYS.runs, mapping={bad.run: changed(bad, values), KEYS.state_field(bad.run): json.dumps(state).encode()}
        )
        is_well(client, good, others=1)


@hypothesis_settings(max_examples=40)
@given(fields=st.dictionaries(FIELDS, st.binary(max_size=40) | st.just(b"[" * 5_000), max_size=4))
@example(fields={b"run-x": b"{}", b"run-x:state": b"{}"})
@example(fields={b":state": b"", b"\xff\x1b[2J\n:state": b"null"})
def test_garbage_in_the_registry_is_shown_and_left_alone(redis_url: str, fields: Mapping[bytes, bytes]) -> None:
    with redis.Redis.from_url(redis_url) as client:
        empty(client)
        good = publish_directly(client, PRODUCT, users=6, first=True)
        if fields:
            client.hset(KEYS.runs, mapping=dict(fields))
        is_well(client, good, others=len({name.removesuffix(b":state") for name in fields}))
        assert {name: client.hget(KEYS.runs, name) for name in fields} == dict(fields)


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        empty(client)
        yield client


@pytest.mark.parametrize("field", ["", ":state"])
def test_when_what_serves_cannot_be_read_a_person_decides(client: redis.Redis, field: str) -> None:
    control, run_due = Control.connect(client, PRODUCT), tasks_of(client)
    before, serving = (publish_directly(client, PRODUCT, users=6, first=True) for _ in range(2))
    for run in (before, serving):
        control.promote(run.run)
    client.hset(KEYS.runs, f"{serving.run}{field}", b"?")
    coming = publish_directly(client, PRODUCT, users=6)
    run_due()
    (unreadable,) = control.status().unreadable
    assert unreadable.name == serving.run
    alarm = f"ALARM         the record of run {serving.run}, which the pointer names as"
    if field:  # what was announced can still be compared with
        assert control.pointers.read().treatment == coming.run
        assert f"{alarm} previous, cannot be read" in shown(control)
        return
    assert control.pointers.read().treatment == serving.run
    assert f"{alarm} treatment, cannot be read" in shown(control)
    assert "cannot be read" in str(control.registry.get(coming.run).status.held)
    assert control.share(Share(0)).served == Share(0)  # the kill switch works whatever happened
    assert control.promote(coming.run).treatment == coming.run
    assert control.rollback(to=before.run, reason="and back").treatment == before.run


@pytest.mark.parametrize("field", ["", ":state"])
def test_what_serves_and_cannot_be_read_can_be_rolled_back(client: redis.Redis, field: str) -> None:
    control = Control.connect(client, PRODUCT)
    before, serving = (publish_directly(client, PRODUCT, users=6, first=True) for _ in range(2))
    for run in (before, serving):
        control.promote(run.run)
    client.hset(KEYS.runs, f"{serving.run}{field}", b"?")
    assert control.rollback(reason="damaged").treatment == before.run


def test_a_damaged_pointer_is_no_runs_fault(client: redis.Redis) -> None:
    good = publish_directly(client, PRODUCT, users=6, first=True)
    client.set(KEYS.pointer, b'{"rev": "many"}')
    control = Control.connect(client, PRODUCT)
    for call in (tasks_of(client), control.status, control.housekeeping.retire_unneeded, lambda: control.hold("why")):
        with pytest.raises(PointerUnreadable, match=r"ptr in Redis is not a pointer .*rev: .*rebuild"):
            call()
    assert control.registry.get(good.run).state is RunState.READY


def test_an_epoch_is_announced_once(client: redis.Redis) -> None:
    known, registry = announce(client, PRODUCT, LISTS), RunRegistry(client, PRODUCT)
    again = Announcement.model_validate({**known.model_dump(), "run": "another"})
    with pytest.raises(RunRefused, match=f"its epoch 1 is that of run {known.run}; start a new run"):
        registry.announce(again)
    client.hset(KEYS.runs, known.run, changed(known, {"format": 2}))
    with pytest.raises(RunRefused, match="its epoch 1"):
        registry.announce(again)


def test_what_no_rule_foresaw_ends_the_run_that_it_comes_from(client: redis.Redis) -> None:
    control, run = Control.connect(client, PRODUCT), announce(client, PRODUCT, LISTS)
    with pytest.raises(RunFault, match="ZeroDivisionError"), control.lifecycle.blaming(control.registry.get(run.run)):
        _ = 1 // 0
    assert "ZeroDivisionError" in str(control.registry.get(run.run).status.reason)


def test_a_user_of_a_run_that_cannot_be_read_is_not_said_to_be_forgotten_everywhere(
    kafka: KafkaConnection, client: redis.Redis
) -> None:
    product = new_product(kafka)
    good, bad = (publish_directly(client, product, users=6, first=True) for _ in range(2))
    client.hset(good.layout.runs, bad.run, b"?")
    forgetter = Forgetter(
        ErasureLog(kafka, product), RunRegistry(client, product), RedisStore(client), ids="int64", partitions=3
    )
    with pytest.raises(MalformedMessage, match=f"1 of 1 kept runs had a list.*cannot be read: {bad.run}"):
        forgetter.forget(3, "asked")
    assert b"3" not in stored(client, good)


def test_a_real_loader_goes_on_beside_poisoned_runs(kafka: KafkaConnection, clean_redis: redis.Redis) -> None:
    product = new_product(kafka)
    late = announce(clean_redis, product, LISTS, load_deadline_seconds=10**14, stall_seconds=10**14)
    elsewhere, newer = (announce(clean_redis, product, LISTS) for _ in range(2))
    tags = tuple(f"{tag}x" for tag in elsewhere.tags)
    elsewhere = Announcement.model_validate({**elsewhere.model_dump(), "tags": tags})
    clean_redis.hset(
        late.layout.runs,
        mapping={
            elsewhere.run: elsewhere.canonical,
            newer.run: changed(newer, {"format": 2}),
            f"{late.run}-x:state": b"\xff",
        },
    )
    send(kafka, late.layout.topic, [*wire_of(elsewhere, LISTS), *wire_of(newer, LISTS)])
    lists = lists_of(40)
    good = announce(clean_redis, product, lists, first=True)
    with loading(kafka, clean_redis, product) as loader:
        send(kafka, good.layout.topic, wire_of(good, lists))
        assert ending_of(clean_redis, good).ending is RunEnding.SERVING
        eventually(lambda: loader.metrics.is_healthy)
    assert served(clean_redis, product, range(40)) == expected(good, lists)
    registry = RunRegistry(clean_redis, product)
    assert registry.get(late.run).state is RunState.ANNOUNCED
    assert "other hash tags" in str(registry.get(elsewhere.run).status.reason)
    buried = [dict(message.headers() or []) for message in messages_of(kafka, good.layout.dead_letter_topic)]
    assert len(buried) == len(wire_of(newer, LISTS))
    assert all(f"the record of run {newer.run}, of epoch 3".encode() in letter["reason"] for letter in buried)


def test_an_announcement_that_kafka_keeps_and_nobody_can_read_is_left_out(
    kafka: KafkaConnection, clean_redis: redis.Redis
) -> None:
    good, newer = (announce(clean_redis, new_product(kafka), LISTS) for _ in range(2))
    topic, keys = good.layout.runs_topic, ProductKeys(good.product)
    wire: Wire = [(0, b"newer", changed(newer, {"format": 2})), (0, b"\xff", b"?")]
    send(kafka, topic, [*wire, (0, good.run.encode(), good.canonical), (0, b"another", good.canonical)])
    assert kept_runs(kafka, keys) == (good,)


def shown(control: Control) -> str:
    return status_view(control.status(), 0).text
