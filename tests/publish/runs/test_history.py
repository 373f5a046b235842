"""Who was served when: no change of the pointer without its entry, and no hole in the history that it does not tell."""

import random
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import pytest
import redis
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from conf import contract
from conf.connections import KafkaConnection
from conf.settings import PublishSettings
from conf.share import Share
from publish.clock import utc_now
from publish.connect.confirmed_sender import KafkaPointerLog, Outgoing
from publish.connect.store_scripts import text_of
from publish.connect.topics import ensure_topics
from publish.errors import RunHeld, RunRefused
from publish.operate import rebuild as rebuild_module
from publish.operate.control import Control
from publish.operate.salvage import SalvageStore, salvage
from publish.runs.history import BEGINS, KEPT_IN_REDIS, Gap, History, HistoryEntry, kept_history, read_history
from publish.runs.pointer import LOST, Change, Hold, Pointer, PointerStore
from publish.wire.announcement import Announcement
from publish.wire.keys import ProductKeys
from tests.publish.support.changes import Killed, Log
from tests.publish.support.pushing import lists_of, load_directly, publish_directly

KEYS = ProductKeys("groups")
START = datetime(2026, 11, 16, 3, tzinfo=UTC)


def entry(rev: int, hours: float = 0, **more: object) -> HistoryEntry:
    pointer = {"rev": rev, "since": START + timedelta(hours=hours), **more}
    return HistoryEntry(pointer=Pointer.model_validate(pointer), reason=f"change {rev}", who="me@here")


def stored(client: redis.Redis) -> History:
    """What Redis keeps."""
    return read_history(client, "groups", None)


def loader(client: redis.Redis, log: Log) -> PointerStore:
    return PointerStore(client, "groups", log=log, who="loader@here")


@pytest.fixture
def log() -> Log:
    return Log("groups")


@pytest.fixture
def control(clean_redis: redis.Redis, log: Log) -> Control:
    return Control.connect(clean_redis, "groups", log=log, who="eva@desk")


# What the entries tell of themselves.


def test_the_table_has_a_row_for_each_change_until_the_next() -> None:
    hold = Hold(reason="looking into it", since=START)
    served = {"treatment": "run-1", "control": "run-0", "salt": "s", "share_bp": 2_500}
    found = History.of([entry(2, 1.5, **served, cap_bp=5_000, hold=hold), entry(1)])
    assert found.gaps == ()
    assert found.table().schema == contract.pointer_history()
    first, second = found.table().to_pylist()
    later = START + timedelta(hours=1.5)
    assert first == {
        "revision": 1,
        "since": START,
        "until": later,
        "treatment": None,
        "control": None,
        "salt": "",
        "share_bp": 0,
        "cap_bp": 10_000,
        "hold": None,
        "reason": "change 1",
        "who": "me@here",
    }
    assert second == {
        "revision": 2,
        "since": later,
        "until": None,
        **served,
        "cap_bp": 5_000,
        "hold": "looking into it",
        "reason": "change 2",
        "who": "me@here",
    }
    assert History((), ()).table().schema == contract.pointer_history()


@given(number=st.integers(1, 30), again=st.lists(st.integers(0, 29)), seed=st.integers())
def test_entries_may_come_twice_and_in_any_order(number: int, again: list[int], seed: int) -> None:
    entries = [entry(rev, rev // 2) for rev in range(1, number + 1)]  # some of them in the same moment
    some = entries + [entries[place % number] for place in again]
    random.Random(seed).shuffle(some)
    assert History.of(some) == History(tuple(entries), ())


@given(gone=st.sets(st.integers(1, 20), max_size=19))
def test_every_missing_revision_is_told(gone: set[int]) -> None:
    found = History.of(entry(rev, rev) for rev in range(1, 22) if rev not in gone)
    told: set[int] = set()
    for gap in found.gaps:
        assert gap.before is not None
        numbers = [int(word) for word in gap.what.replace(":", "").split() if word.isdigit()]
        told |= set(range(numbers[0], numbers[-1] + 1))
    assert told == gone


@pytest.mark.parametrize(
    ("revs", "said"),
    [
        ([1, 2, 3, 0, 4], []),  # lost, noticed and rebuilt
        ([1, 2, 3, 0, 0, 4], []),  # lost a second time meanwhile
        ([1, 2, 3, 0, 1, 2, 4], []),  # somebody gave orders before it was rebuilt
        ([1, 2, 3, 0, 1, 2, 3], []),  # nothing could be rebuilt; it began anew
        ([1, 2, 3, 1, 4], [(3, "Redis lost everything after revision 3; since when")]),
        ([1, 2, 3, 3, 4], [(3, "revision 3 was issued a second time: Redis had gone back behind revision 3")]),
        ([1, 2, 3, 2, 3], [(3, "revision 2 was issued a second time: Redis had gone back behind revision 3")]),
        ([4, 5], [(0, "revisions 1 to 3 are missing: the history begins")]),
        ([1, 3], [(1, "revision 2 is missing")]),
        ([1, 2, 0, 5], [(3, "revisions 3 to 4 are missing")]),
    ],
)
def test_what_the_history_does_not_tell(revs: list[int], said: list[tuple[int, str]]) -> None:
    found = History.of(entry(rev, hours) for hours, rev in enumerate(revs))
    assert [gap.before for gap in found.gaps] == [START + timedelta(hours=hours) for hours, _ in said]
    assert all(text in gap.what for gap, (_, text) in zip(found.gaps, said, strict=True))


def test_a_history_that_says_that_it_begins_has_no_gap() -> None:
    begun = HistoryEntry(pointer=entry(17).pointer, reason=BEGINS, who=None)
    assert History.of([begun, entry(18, 1)]).gaps == ()


def test_a_part_keeps_the_gaps_that_lie_in_it() -> None:
    found = History.of([entry(1), entry(3, 2), entry(4, 4), entry(7, 6)], [Gap(None, "a record is unreadable")])

    def part(some: History) -> tuple[list[int], int]:
        return [one.rev for one in some.entries], len(some.gaps)

    assert part(found) == ([1, 3, 4, 7], 3)
    assert part(found.since(START - timedelta(days=1))) == ([1, 3, 4, 7], 3)
    assert part(found.since(START + timedelta(hours=3))) == ([3, 4, 7], 2)  # 3 was in force then
    assert part(found.since(START + timedelta(hours=4))) == ([4, 7], 2)
    assert part(found.newest(1)) == ([7], 1)
    assert part(found.newest(9)) == ([1, 3, 4, 7], 3)
    assert part(History((), ()).since(START)) == ([], 0)


def test_an_entry_says_since_when() -> None:
    with pytest.raises(ValueError, match="needs `since`"):
        HistoryEntry(pointer=Pointer(rev=1), reason="", who=None)


# What Redis writes down.


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(day=st.dates(date(1970, 1, 1), date(2400, 1, 1)), time=st.times())
@example(day=date(2028, 2, 29), time=time.max)
@example(day=date(2100, 3, 1), time=time.min)
def test_a_time_in_redis_is_the_time_in_python(redis_url: str, day: date, time: time) -> None:
    moment = datetime.combine(day, time, UTC)
    since_1970 = moment - datetime(1970, 1, 1, tzinfo=UTC)
    seconds = since_1970.days * 86_400 + since_1970.seconds
    script = text_of("history") + "\nreturn iso(tonumber(ARGV[1]), tonumber(ARGV[2]))"
    with redis.Redis.from_url(redis_url) as client:
        text = client.eval(script, 2, "h", "u", seconds, moment.microsecond).decode()
    assert text == f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"
    assert datetime.fromisoformat(text) == moment


def test_every_order_has_its_reason_and_author(control: Control, clean_redis: redis.Redis) -> None:
    first, second, third = (publish_directly(clean_redis, "groups", first=True) for _ in range(3))
    control.promote(first.run, reason="the first one")
    control.promoter.promote_if_ready(second.run)
    control.promote(third.run)
    control.hold("looking into it")
    control.hold("and again")  # changes nothing
    control.rollback(reason="complaints")
    control.share(Share(2_500), reason="step 2 of the ramp")
    control.share(Share(2_500), reason="the same again")  # changes nothing
    control.unhold(reason="found it")
    pointer = control.pointers.read()
    found = stored(clean_redis)
    assert [(change.rev, change.reason) for change in found.entries] == [
        (1, "the first one"),
        (2, f"run {second.run} is complete"),
        (3, "by hand"),
        (4, "looking into it"),
        (5, "complaints"),
        (6, "step 2 of the ramp"),
        (7, "found it"),
    ]
    assert {change.who for change in found.entries} == {"eva@desk"}
    assert found.entries[-1].pointer == pointer
    assert found.entries[4].pointer.serving_since == found.entries[4].since
    assert pointer.serving_since == found.entries[4].since
    assert all(before.since < after.since for before, after in pairwise(found.entries))
    assert abs(found.entries[-1].since - utc_now()) < timedelta(minutes=5)


def test_without_a_name_it_is_the_user_of_the_process(clean_redis: redis.Redis) -> None:
    Control.connect(clean_redis, "groups").hold("a test")
    (change,) = stored(clean_redis).entries
    assert change.who is not None
    assert "@" in change.who


@pytest.mark.parametrize("by", ["a round of a loader", "the next change"])
@pytest.mark.parametrize("since", [START, None], ids=["dated", "undated"])
def test_a_pointer_of_before_begins_the_history(
    clean_redis: redis.Redis, log: Log, by: str, since: datetime | None
) -> None:
    old = Pointer(rev=17, treatment="run-a", share_bp=2_500, hold=Hold(reason="жук", since=START), since=since)
    clean_redis.set(KEYS.pointer, old.model_dump_json())
    pointers = loader(clean_redis, log)
    if by == "a round of a loader":
        pointers.write_down_if_new()
        pointers.write_down_if_new()
        assert len(log.history().entries) == 1
    after = pointers.change(lambda now: Change(now.model_copy(update={"hold": None})), reason="a change")
    begun, changed = log.history().entries
    assert begun == HistoryEntry(pointer=begun.pointer, reason=BEGINS, who=None)
    assert begun.pointer.model_copy(update={"since": since}) == old
    assert since is None or begun.since == since
    assert (changed.pointer, changed.reason, changed.who) == (after, "a change", "loader@here")
    assert log.history().gaps == ()


def test_what_a_version_without_a_history_changed_is_told(control: Control, clean_redis: redis.Redis) -> None:
    control.hold("one")
    pointer = control.pointers.read()
    for rev in (2, 3):
        pointer = pointer.model_copy(update={"rev": rev, "since": utc_now()})
        clean_redis.set(KEYS.pointer, pointer.model_dump_json())
    control.unhold()
    found = stored(clean_redis)
    assert [(change.rev, change.who) for change in found.entries] == [(1, "eva@desk"), (3, None), (4, "eva@desk")]
    assert found.entries[1].reason == "changed without its history"
    assert [gap.what for gap in found.gaps] == ["revision 2 is missing"]


def test_a_clock_that_goes_back_does_not_turn_the_order_round(control: Control, clean_redis: redis.Redis) -> None:
    control.hold("one")
    ahead = (utc_now() + timedelta(hours=1)).replace(microsecond=0)  # as Python writes it: without a fraction
    pointer = control.pointers.read().model_copy(update={"rev": 2, "since": ahead})
    clean_redis.set(KEYS.pointer, pointer.model_dump_json())
    control.unhold()
    control.hold("three")
    assert [(change.rev, change.since) for change in stored(clean_redis).entries[1:]] == [
        (2, ahead),
        (3, ahead),
        (4, ahead),
    ]


def test_redis_keeps_the_newest_and_all_that_kafka_does_not_have(clean_redis: redis.Redis, log: Log) -> None:
    pointers = PointerStore(clean_redis, "groups")
    number = KEPT_IN_REDIS + 5
    for cap in range(number):
        pointers.change(lambda now, cap=cap: Change(now.model_copy(update={"cap_bp": Share(cap)})), reason="a test")
    assert clean_redis.llen(KEYS.history) == KEPT_IN_REDIS
    assert [change.rev for change in stored(clean_redis).entries] == list(range(1, number + 1))
    publish_directly(clean_redis, "groups")
    loader(clean_redis, log).write_down_if_new()
    assert pointers.unsent.entries() == []
    assert len(stored(clean_redis).entries) == KEPT_IN_REDIS
    assert [change.rev for change in log.history().entries] == list(range(1, number + 1))


# The way to Kafka.


@pytest.mark.parametrize("state", ["down", "between the topics", "no answer", "killed before", "killed after"])
def test_what_did_not_come_to_kafka_is_sent_by_the_next(
    control: Control, clean_redis: redis.Redis, log: Log, state: str
) -> None:
    run = publish_directly(clean_redis, "groups", first=True)
    log.state = state  # type: ignore[assignment]
    try:
        control.promote(run.run)
    except Killed:
        assert state.startswith("killed")
    assert control.pointers.read().treatment == run.run
    assert control.status().unsent == 1
    log.state = "up"
    other = loader(clean_redis, log)
    other.write_down_if_new()
    assert control.status().unsent == 0
    assert [(change.rev, change.who) for change in log.history().entries] == [(1, "eva@desk")]
    assert log.pointer() == control.pointers.read()


def test_a_sender_takes_away_only_what_it_sent(clean_redis: redis.Redis, log: Log) -> None:
    quiet = PointerStore(clean_redis, "groups")

    def change(cap: int) -> None:
        quiet.change(lambda now: Change(now.model_copy(update={"cap_bp": Share(cap)})), reason="a test")

    class Slow(Log):
        """While it stores for the first time, another sender is faster, and the pointer changes once more."""

        def append(self, product: str, batches: Mapping[str, Sequence[Outgoing]]) -> None:
            super().append(product, batches)
            self.state = "down"
            loader(clean_redis, log).write_down_if_new()
            change(3)

    change(1)
    change(2)
    slow = Slow("groups")
    PointerStore(clean_redis, "groups", log=slow).write_down_if_new()
    assert [change.rev for change in slow.history().entries] == [1, 2]
    assert [change.rev for change in log.history().entries] == [1, 2]
    assert len(quiet.unsent.entries()) == 1


def test_two_who_send_at_once_lose_nothing(clean_redis: redis.Redis, log: Log) -> None:
    quiet = PointerStore(clean_redis, "groups")

    def change(cap: int) -> None:
        quiet.change(lambda now: Change(now.model_copy(update={"cap_bp": Share(cap)})), reason="a test", attempts=1_000)

    with ThreadPoolExecutor(8) as pool:
        tasks = [pool.submit(change, cap) for cap in range(60)]
        tasks += [pool.submit(loader(clean_redis, log).write_down_if_new) for _ in range(30)]
        for task in tasks:
            task.result()
    loader(clean_redis, log).write_down_if_new()
    assert quiet.unsent.entries() == []
    found = log.history()
    assert ([change.rev for change in found.entries], found.gaps) == (list(range(1, 61)), ())


def test_a_topic_that_is_not_there_yet_is_waited_for(
    clean_redis: redis.Redis, kafka: KafkaConnection, caplog: pytest.LogCaptureFixture
) -> None:
    keys = ProductKeys("history_topic_later")
    control = Control.connect(clean_redis, keys.product, log=KafkaPointerLog(kafka))
    control.hold("a test")
    assert f"Kafka has no topic {keys.history_topic} yet" in caplog.text
    ensure_topics(kafka, keys, PublishSettings(partitions=1))
    control.share(Share(1_000))
    assert [change.rev for change in kept_history(kafka, keys).entries] == [1, 2]
    assert read_history(clean_redis, keys.product, kafka) == kept_history(kafka, keys)
    clean_redis.delete(keys.history)
    assert read_history(clean_redis, keys.product, kafka) == kept_history(kafka, keys)


@pytest.mark.parametrize("garbage", [b"?", b"7", b"{}", b'{"pointer": 1}', b'{"pointer": {"rev": 1}}', b"\xff"])
def test_what_is_no_entry_stops_nobody(control: Control, clean_redis: redis.Redis, log: Log, garbage: bytes) -> None:
    control.hold("a test")
    clean_redis.rpush(KEYS.history, garbage)
    clean_redis.rpush(KEYS.unsent, garbage)
    control.unhold()
    assert control.status().unsent == 0
    found = stored(clean_redis)
    assert [(change.rev, change.who) for change in found.entries] == [(1, "eva@desk"), (2, "eva@desk")]
    assert len(found.gaps) == 1
    assert garbage in log.kept[KEYS.history_topic]


def test_what_is_no_entry_does_not_hide_the_others(clean_redis: redis.Redis, kafka: KafkaConnection) -> None:
    keys = ProductKeys("history_with_garbage")
    ensure_topics(kafka, keys, PublishSettings(partitions=1))
    control = Control.connect(clean_redis, keys.product, log=KafkaPointerLog(kafka))
    control.hold("a test")
    log = KafkaPointerLog(kafka)
    log.append(keys.product, {keys.history_topic: [Outgoing(b"a", b"{}"), Outgoing(b"b", None)]})
    clean_redis.rpush(keys.unsent, "garbage")
    found = read_history(clean_redis, keys.product, kafka)
    assert [change.rev for change in found.entries] == [1]
    assert [gap.what for gap in found.gaps] == [
        f"{keys.history_topic}: the record at offset 1 cannot be read by this version",
        f"{keys.history_topic}: the record at offset 2 cannot be read by this version",
        f"{keys.unsent}: item 0 cannot be read by this version",
    ]


# Redis loses everything.


def test_the_first_loader_that_sees_a_loss_writes_it_down_once(
    control: Control, clean_redis: redis.Redis, log: Log
) -> None:
    loaders = [loader(clean_redis, log) for _ in range(3)]
    for one in loaders[:2]:
        one.write_down_if_new()  # nothing was there yet, and nothing is lost
    assert log.history() == History((), ())
    control.hold("a test")
    for one in loaders[:2]:
        one.write_down_if_new()
    clean_redis.flushall()
    for one in reversed(loaders):  # the last one never saw it
        one.write_down_if_new()
    control.share(Share(0))
    found = log.history()
    assert [(change.rev, change.reason, change.who) for change in found.entries] == [
        (1, "a test", "eva@desk"),
        (0, LOST, "loader@here"),
        (1, "by hand", "eva@desk"),
    ]
    assert found.gaps == ()
    lost = found.table().to_pylist()[1]
    assert (lost["treatment"], lost["control"], lost["share_bp"], lost["hold"]) == (None, None, 0, None)


class Life:
    """A product whose operator, loaders, log and Redis do what a list of words says."""

    def __init__(self, client: redis.Redis) -> None:
        client.flushall()
        self.client, self.log = client, Log("groups")
        self.control = Control.connect(client, "groups", log=self.log, who="eva@desk")
        self.loader = loader(client, self.log)
        self.runs: list[Announcement] = []
        self.was: dict[tuple[int, datetime], Pointer] = {}
        """Every pointer that there was, but for those of which the log had not heard when Redis was lost."""
        self.lost = False

    def do(self, word: str) -> None:
        """One step; what is refused changes nothing."""
        if word.startswith("log "):
            self.log.state = word.removeprefix("log ")  # type: ignore[assignment]
            return
        steps: dict[str, Callable[[], Pointer | None]] = {
            "promote": self.promote,
            "rollback": lambda: self.control.rollback(reason=word),
            "hold": lambda: self.control.hold(word),
            "unhold": self.control.unhold,
            "share": lambda: self.control.share(Share(100 * len(self.was))).pointer,
            "no share": lambda: self.control.share(Share(0)).pointer,
            "round": self.loader.write_down_if_new,
            "lose": self.lose,
            "rebuild": self.rebuild,
        }
        try:
            pointer = steps[word]()
        except (RunRefused, RunHeld):
            return
        except Killed:
            pointer = self.control.pointers.read()
        if pointer is not None and pointer.since is not None:
            self.was[pointer.rev, pointer.since] = pointer

    def promote(self) -> Pointer | None:
        if self.lost:
            return None  # a job refuses to start on a Redis that lost its runs
        epoch = max((run.epoch for run in self.runs), default=0) + 1
        self.client.set(KEYS.epoch, epoch - 1)
        self.runs.append(publish_directly(self.client, "groups", 6, first=True))
        return self.control.promote(self.runs[-1].run)

    def lose(self) -> None:
        self.client.flushall()
        self.lost = bool(self.runs)
        heard = {(change.rev, change.since) for change in self.log.history().entries}
        last = self.log.pointer()
        self.was = {name: was for name, was in self.was.items() if name in heard or was == last}

    def rebuild(self) -> Pointer | None:
        """As publish.operate.rebuild, with a loader in this thread."""
        control, registry = self.control, self.control.registry
        found = control.pointers.read()
        if not self.lost or (self.log.pointer().rev == 0 and found.rev == 0):
            return None
        plan = salvage(self.log.pointer(), self.runs, found, utc_now(), self.log.history())
        SalvageStore(self.client, KEYS, "eva@desk").start(found, plan)
        for run in self.runs:
            if run.run in plan.pointer.named.values():
                load_directly(self.client, run, lists_of(6))
                assert registry.ready(run.run)
        self.lost = False
        rebuilt = rebuild_module._end(control, plan.pointer, all_read=True)
        assert rebuilt is not None
        return rebuilt.pointer


ORDERS = ("promote", "rollback", "hold", "unhold", "share", "no share", "round")
LOGS = ("log up", "log down", "log between the topics", "log no answer", "log killed before", "log killed after")
WORDS = st.sampled_from([*ORDERS, *ORDERS, *LOGS, "log up", "lose", "rebuild", "rebuild"])


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(words=st.lists(WORDS, max_size=30))
@example(words=["promote", "promote", "rollback", "lose", "round", "share", "rebuild", "unhold", "promote"])
@example(words=["promote", "log down", "hold", "lose", "rebuild", "log up", "unhold"])
@example(words=["promote", "log no answer", "hold", "lose", "rebuild", "lose", "rebuild", "log up"])
def test_the_history_is_what_was(clean_redis: redis.Redis, words: list[str]) -> None:
    life = Life(clean_redis)
    for word in [*words, "rebuild", "log up", "hold", "share", "round"]:
        life.do(word)
    kept, known = life.log.history(), stored(clean_redis)
    assert {(change.rev, change.since): change.pointer for change in kept.entries if change.rev > 0} == life.was
    assert known.entries == kept.entries[-len(known.entries) :]
    assert life.control.pointers.unsent.entries() == []
    rows = kept.table().to_pylist()
    assert all(row["since"] <= row["until"] == after["since"] for row, after in pairwise(rows))
    assert rows[-1]["until"] is None
    missing = set(range(1, kept.highest + 1)) - {change.rev for change in kept.entries}
    assert bool(kept.gaps) >= bool(missing), "a hole that is not told"
    if "lose" not in words:
        assert not missing
        assert kept.gaps == ()
