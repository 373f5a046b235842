"""Dead letters of a real loader, in the operator's hands: seen, sent again where it helps, deleted."""

from collections.abc import Callable

import pytest
import redis
from confluent_kafka import Producer

from conf.connections import KafkaConnection
from publish.connect.watermarks import watermarks
from publish.errors import LetterRefused
from publish.operate.dead_letter_commands import DeadLetters, Dropped, Sent
from publish.operate.dead_letter_reader import count_letters
from publish.operate.wait import RunEnding
from publish.runs.registry import RunRegistry
from publish.runs.run import RunState
from publish.store.redis_store import RedisStore
from publish.wire.announcement import Announcement
from publish.wire.keys import ProductKeys
from publish.wire.messages import MARK_KEY, MessageKind, begin_value, pack
from tests.publish.support.pushing import (
    PARTITIONS,
    Wire,
    announce,
    data_of,
    ending_of,
    eventually,
    expected,
    lists_of,
    load_directly,
    loading,
    new_product,
    send,
    served,
    wire_of,
)

LISTS = lists_of(60)


@pytest.fixture
def product(kafka: KafkaConnection) -> str:
    return new_product(kafka)


@pytest.fixture
def letters(kafka: KafkaConnection, clean_redis: redis.Redis, product: str) -> DeadLetters:
    return DeadLetters(kafka, RunRegistry(clean_redis, product), RedisStore(clean_redis), "int64")


@pytest.fixture
def run(clean_redis: redis.Redis, product: str) -> Announcement:
    return announce(clean_redis, product, LISTS, first=True)


def dead_lettered(kafka: KafkaConnection, run: Announcement, wire: Wire) -> None:
    """Send records that a running loader must dead-letter, and wait until it has."""
    topic = run.layout.dead_letter_topic
    before = count_letters(kafka, topic)
    send(kafka, run.layout.topic, wire)
    eventually(lambda: count_letters(kafka, topic) == before + len(wire))


def kept(kafka: KafkaConnection, product: str, key: bytes, value: bytes | None, **headers: str) -> None:
    """Write a letter as a loader does."""
    producer = Producer({"bootstrap.servers": kafka.servers})
    pairs = [(name, text.encode()) for name, text in headers.items()]
    producer.produce(ProductKeys(product).dead_letter_topic, key=key, value=value, headers=pairs)
    assert producer.flush(180) == 0


def numbered(kafka: KafkaConnection, product: str, letters: int) -> None:
    for number in range(letters):
        kept(kafka, product, b"7", b"%d" % number, reason=f"number {number}")


def count_messages(kafka: KafkaConnection, topic: str) -> int:
    return sum(marks.high - marks.low for marks in watermarks(kafka, topic, range(PARTITIONS)).values())


@pytest.mark.parametrize("away", [0, 1], ids=["in its partition", "in a wrong partition"])
def test_a_record_that_came_before_its_begin_is_sent_again_and_the_run_serves(
    kafka: KafkaConnection,
    clean_redis: redis.Redis,
    product: str,
    run: Announcement,
    letters: DeadLetters,
    away: int,
) -> None:
    early = data_of(run, LISTS)[5]
    wrong = ((early[0] + away) % PARTITIONS, *early[1:])
    with loading(kafka, clean_redis, product):
        dead_lettered(kafka, run, [wrong])
        (report,) = letters.newest(limit=9)
        assert (report.run, report.letter.partition, report.letter.epoch) == (run.run, wrong[0], run.epoch)
        wire = [record for record in wire_of(run, LISTS) if record != early]
        send(kafka, run.layout.topic, wire[:-PARTITIONS])
        eventually(lambda: RunRegistry(clean_redis, product).get(run.run).state is RunState.LOADING)
        eventually(lambda: all(part.state == "LOADING" for part in RedisStore(clean_redis).progress(run)))
        for _ in range(2):
            assert letters.retry([report.letter.id, report.letter.id]) == (Sent(report.letter.id, run.run, early[0]),)
        send(kafka, run.layout.topic, wire[-PARTITIONS:])
        assert ending_of(clean_redis, run).ending is RunEnding.SERVING
        assert served(clean_redis, product, list(LISTS)) == expected(run, LISTS)
        with pytest.raises(LetterRefused, match="is complete without it; drop it; nothing was sent"):
            letters.retry([report.letter.id])
    assert count_letters(kafka, run.layout.dead_letter_topic) == 1


def test_a_run_that_will_fail_is_not_helped(
    kafka: KafkaConnection, clean_redis: redis.Redis, product: str, run: Announcement, letters: DeadLetters
) -> None:
    wire, home = wire_of(run, LISTS), data_of(run, LISTS)[5]
    with loading(kafka, clean_redis, product):
        send(kafka, run.layout.topic, wire[:PARTITIONS])
        eventually(lambda: all(part.state == "LOADING" for part in RedisStore(clean_redis).progress(run)))
        wrong = (home[0] + 1) % PARTITIONS
        dead_lettered(kafka, run, [(wrong, *home[1:])])
        eventually(lambda: RedisStore(clean_redis).poison(run, wrong) == 1)  # a moment after the letter
        with pytest.raises(LetterRefused, match=r"letter 0: run .* will fail at its END: 1 unreadable"):
            letters.retry([0])
        send(kafka, run.layout.topic, wire[PARTITIONS:])
        assert ending_of(clean_redis, run).ending is RunEnding.FAILED
        with pytest.raises(LetterRefused, match=r"is FAILED \(.*start a new run"):
            letters.retry([0])


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (lambda run: (0, b"5", pack(MessageKind.DATA, 10**12, 0, b"5", b"")), "no announced run has epoch"),
        (lambda run: (0, b"5", b"\x02 not one of ours, but long enough"), "cannot be|can read it"),
        (lambda run: (0, b"5", None), "can read it"),
        (lambda run: (1, MARK_KEY, begin_value(run, 0)), "it is not genuine"),
    ],
    ids=["stranger", "garbage", "tombstone", "begin of another partition"],
)
def test_what_cannot_help_is_refused(
    kafka: KafkaConnection,
    clean_redis: redis.Redis,
    product: str,
    run: Announcement,
    letters: DeadLetters,
    record: Callable[[Announcement], tuple[int, bytes | None, bytes | None]],
    why: str,
) -> None:
    with loading(kafka, clean_redis, product):
        dead_lettered(kafka, run, [record(run)])
    with pytest.raises(LetterRefused, match=why):
        letters.retry([0])


def test_letters_are_refused_all_or_none(
    kafka: KafkaConnection, clean_redis: redis.Redis, product: str, run: Announcement, letters: DeadLetters
) -> None:
    (partition, key, value), *_ = data_of(run, LISTS)
    assert key is not None
    kept(kafka, product, key, value, reason="good", topic=run.layout.topic, partition=str(partition), offset="3")
    kept(kafka, product, b"8", None, reason="too large", dropped_value_bytes="2000000")
    with pytest.raises(LetterRefused, match="letter 1: it was too large to be kept with its value"):
        letters.retry([0, 1])
    with pytest.raises(LetterRefused, match=r"there is no letter 2 .* there are 0 … 1"):
        letters.retry([0, 2])
    with pytest.raises(LetterRefused, match=f"run {run.run} has not begun in partition {partition}"):
        letters.retry([0])
    assert count_messages(kafka, run.layout.topic) == 0
    load_directly(clean_redis, run, LISTS, leave=PARTITIONS)
    assert letters.retry([0]) == (Sent(0, run.run, partition),)
    assert count_messages(kafka, run.layout.topic) == 1
    assert letters.newest(limit=1)[0].letter.size == 2_000_001


def test_the_newest_are_listed_and_one_is_shown(
    kafka: KafkaConnection, clean_redis: redis.Redis, product: str, run: Announcement, letters: DeadLetters
) -> None:
    assert letters.newest(limit=5) == ()
    assert count_letters(kafka, run.layout.dead_letter_topic) == 0
    (partition, key, value), *_ = data_of(run, LISTS)
    assert key is not None
    kept(kafka, product, key, value, reason="a list", topic="t", partition=str(partition), offset="3")
    numbered(kafka, product, 4)
    assert [report.letter.id for report in letters.newest(limit=3)] == [2, 3, 4]
    assert [report.letter.id for report in letters.newest(limit=3, run=run.run)] == [0]
    assert letters.newest(limit=3, run="another") == ()
    shown = letters.show(0)
    user = int(key)
    assert shown.kind == "DATA"
    assert shown.content is not None
    assert shown.content["user"] == str(user)
    assert shown.content["source_ids"] == [str(user + 1), str(user + 2)]
    garbage = letters.show(3)
    assert (garbage.kind, garbage.content, garbage.hex) == (None, None, b"2".hex())
    assert garbage.fault is not None
    with pytest.raises(LetterRefused, match=r"there is no letter 9 in .* there are 0 … 4"):
        letters.show(9)


def test_deleting_goes_up_to_the_letter_and_twice_is_harmless(
    kafka: KafkaConnection, product: str, letters: DeadLetters
) -> None:
    with pytest.raises(LetterRefused, match="there is none"):
        letters.drop(0)
    numbered(kafka, product, 5)
    topic = ProductKeys(product).dead_letter_topic
    with pytest.raises(LetterRefused, match="the newest is 4"):
        letters.drop(5)
    with pytest.raises(LetterRefused, match="there is no letter -1"):
        letters.drop(-1)
    assert count_letters(kafka, topic) == 5
    assert letters.drop(2) == Dropped(3, 2)
    assert letters.drop(2) == Dropped(0, 2)
    assert letters.drop(0) == Dropped(0, 2)
    assert [(report.letter.id, report.letter.reason) for report in letters.newest(limit=9)] == [
        (3, "number 3"),
        (4, "number 4"),
    ]
    with pytest.raises(LetterRefused, match="there are 3 … 4"):
        letters.show(2)
    assert letters.drop(4) == Dropped(2, 0)
    assert count_letters(kafka, topic) == 0
    numbered(kafka, product, 1)
    assert [report.letter.id for report in letters.newest(limit=9)] == [5]


def test_a_topic_that_is_not_there_has_no_letters(kafka: KafkaConnection) -> None:
    assert count_letters(kafka, "nobody.made.this.dead") == 0
