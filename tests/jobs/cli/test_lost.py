"""`discovery rebuild` and `discovery dlq`: text, JSON and exit codes, against the real broker and the real Redis."""

import pytest
import redis

from conf.connections import KafkaConnection
from publish.connect.confirmed_sender import KafkaPointerLog, Outgoing
from publish.operate.control import Control
from publish.operate.dead_letter_reader import count_letters
from publish.operate.wait import RunEnding
from publish.runs.run_log import KafkaRunLog
from publish.wire.announcement import Announcement
from publish.wire.keys import ProductKeys
from publish.wire.messages import MessageKind, pack
from tests.jobs.commands import Discovery
from tests.publish.support.pushing import (
    PARTITIONS,
    announce,
    ending_of,
    eventually,
    expected,
    lists_of,
    loading,
    send,
    served,
    wire_of,
)

LISTS = lists_of(60)


def pushed(broker: KafkaConnection, client: redis.Redis, product: str, **changes: object) -> Announcement:
    """A run that serves and is written down; a loader must be running."""
    run = announce(client, product, LISTS, **changes)
    KafkaRunLog(broker).append(run)
    send(broker, run.layout.topic, wire_of(run, LISTS))
    assert ending_of(client, run).ending is RunEnding.SERVING
    Control.connect(client, product, log=KafkaPointerLog(broker)).pointers.write_down_if_new()
    return run


def lose(client: redis.Redis, product: str, *runs: Announcement) -> None:
    """Delete all that Redis knows of a product, and of no other."""
    keys = ProductKeys(product)
    names = [keys.runs, keys.pointer, keys.history, keys.unsent, keys.epoch, keys.lease, keys.lease_token]
    for run in runs:
        for partition in range(run.partitions):
            layout = run.layout
            names += [*layout.bucket_keys(run.run, partition), layout.seen(run.run, partition)]
            names += [layout.state(run.run, partition), layout.position(partition)]
    client.delete(*names)


@pytest.mark.parametrize(
    "words", [["rebuild"], ["dlq", "list"], ["dlq", "show", "0"], ["dlq", "retry", "0"], ["dlq", "drop", "0"]]
)
def test_kafkas_address_is_needed(discovery: Discovery, words: list[str]) -> None:
    said = discovery(*words)
    assert (said.code, said.out) == (2, "")
    assert "KAFKA_BOOTSTRAP_SERVERS is not set" in said.log


def test_rebuild(discovery: Discovery, broker: KafkaConnection, client: redis.Redis, product: str) -> None:
    nothing = discovery("rebuild")
    assert (nothing.code, nothing.out) == (1, "")
    assert "publish a new run with --first" in nothing.log
    with loading(broker, client, product):
        first, second = pushed(broker, client, product, first=True), pushed(broker, client, product)
        discovery("hold", "--reason", "a look first")
        alive = discovery("rebuild", "--json")
        assert (alive.code, alive.out) == (1, "")
        assert f"{second.run} serves): it is not lost" in alive.log
    lose(client, product, first, second)
    assert discovery("lookup", "7").code == 1
    late = discovery("rebuild", "--deadline", "0.1")
    assert (late.code, late.out) == (5, "")
    assert "run `discovery rebuild` again" in late.log
    assert "discovery load" in late.log
    assert discovery("unhold").code == 1
    with loading(broker, client, product):
        data = discovery("rebuild", "--json").data
    assert (data["pointer"]["treatment"], data["pointer"]["previous"]) == (second.run, first.run)
    assert data["pointer"]["hold"]["reason"] == "a look first"
    assert data["lost"] is None
    assert served(client, product, list(LISTS)) == expected(second, LISTS)
    assert discovery("verify", second.run).code == 0


def test_rebuild_of_what_is_not_in_the_topic(
    discovery: Discovery, broker: KafkaConnection, client: redis.Redis, product: str
) -> None:
    run = announce(client, product, LISTS, first=True)
    KafkaRunLog(broker).append(run)
    log = KafkaPointerLog(broker)
    pointer = b'{"rev":4,"treatment":"%s","share_bp":10000,"salt":"s"}' % run.run.encode()
    log.append(product, {ProductKeys(product).pointer_topic: [Outgoing(product.encode(), pointer)]})
    lose(client, product, run)
    said = discovery("rebuild")
    assert (said.code, said.out) == (4, "")
    assert f"run {run.run} cannot be restored" in said.log
    assert "publish a new run with --first" in said.log
    assert discovery("status", "--json").data["pointer"]["rev"] == 5


def test_dead_letters(discovery: Discovery, broker: KafkaConnection, client: redis.Redis, product: str) -> None:
    assert discovery("dlq", "list").out == "no dead letters\n"
    assert discovery("dlq", "list", "--json").data == []
    topic = ProductKeys(product).dead_letter_topic
    with loading(broker, client, product):
        run = pushed(broker, client, product, first=True)
        late = pack(MessageKind.DATA, run.epoch, 0, b"5", b"\x0a\x01\x07")
        home = run.layout.partition_of(5)
        stranger = pack(MessageKind.DATA, 10**12, 0, b"5", b"\x0a\x01\x07")
        wire = [(home, b"5", stranger), (home, b"6", b"garbage"), ((home + 1) % PARTITIONS, b"5", late)]
        send(broker, run.layout.topic, wire)
        eventually(lambda: count_letters(broker, topic) == 3)
    letters = discovery("dlq", "list", "--json").data
    assert [letter["id"] for letter in letters] == [0, 1, 2]
    stranger_id = next(letter["id"] for letter in letters if letter["epoch"] == 10**12)
    of_run = discovery("dlq", "list", "--run", run.run, "--json").data
    assert [letter["reason"] for letter in of_run] == [f"belongs to partition {home}"]
    assert of_run[0]["topic"] == run.layout.topic
    lines = discovery("dlq", "list", "--limit", "1").out.splitlines()
    assert [line.split()[0] for line in lines] == ["id", "2"]
    shown = discovery("dlq", "show", str(stranger_id), "--json").data
    assert (shown["kind"], shown["content"]["source_ids"], shown["run"]) == ("DATA", ["7"], None)
    assert "unknown (epoch 1000000000000)" in discovery("dlq", "show", str(stranger_id)).out
    refused = discovery("dlq", "retry", str(of_run[0]["id"]))
    assert (refused.code, refused.out) == (2, "")
    assert "is complete without it" in refused.log
    assert discovery("dlq", "drop", "3").code == 2
    assert discovery("dlq", "drop", "1", "--json").data == {"dropped": 2, "left": 1}
    assert discovery("dlq", "drop", "1").out == "0 letters deleted, 1 left\n"
    assert discovery("dlq", "show", "1").code == 2


def test_a_letter_is_sent_again(
    discovery: Discovery, broker: KafkaConnection, client: redis.Redis, product: str
) -> None:
    run = announce(client, product, LISTS, first=True)
    wire = wire_of(run, LISTS)
    begins, early, rest, ends = wire[:PARTITIONS], wire[5], wire[PARTITIONS:-PARTITIONS], wire[-PARTITIONS:]
    with loading(broker, client, product):
        send(broker, run.layout.topic, [early])
        eventually(lambda: count_letters(broker, run.layout.dead_letter_topic) == 1)
        send(broker, run.layout.topic, [*begins, *(record for record in rest if record != early)])
        control = Control.connect(client, product)
        eventually(lambda: all(part.state == "LOADING" for part in control.lifecycle.store.progress(run)))
        assert discovery("dlq", "retry", "0", "--json").data == [{"letter": 0, "run": run.run, "partition": early[0]}]
        assert f"letter 0 was sent to partition {early[0]} again" in discovery("dlq", "retry", "0").out
        send(broker, run.layout.topic, ends)
        assert ending_of(client, run).ending is RunEnding.SERVING
    assert served(client, product, list(LISTS)) == expected(run, LISTS)
