import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis

from conf.ids import arm_of
from publish.errors import BadLookup, BadUserId, MalformedMessage, StoreUnreachable, Unavailable
from publish.read.reader import Answer, Reader
from publish.wire.announcement import Announcement
from publish.wire.encoding import encode_rows
from publish.wire.keys import ProductKeys
from tests.publish.support.both_readers import BothReaders
from tests.publish.support.samples import CREATED, Lists, announcement_of, batches_of, closed_port

PRODUCT = "groups"
OLD: Lists = {1: [10, 11, 12], 2: [20], 3: [], 5: [50, 51]}
NEW: Lists = {1: [13, 14], 4: [40]}
RUNS = {
    "old": announcement_of(OLD, run="old", epoch=1),
    "new": announcement_of(NEW, run="new", epoch=2, fallback=(905,), partitions=5),
}


def load(client: redis.Redis, announcement: Announcement, lists: Lists) -> None:
    """Put a run where the loader would."""
    client.hset(announcement.layout.runs, announcement.run, announcement.canonical)
    for batch in batches_of(lists, announcement.partitions, announcement.ids):
        users = batch.column("user_id").to_pylist()
        for user, payload in zip(users, encode_rows(batch, announcement.ids), strict=True):
            client.hset(
                announcement.layout.bucket(announcement.run, *announcement.layout.place_of(user)), str(user), payload
            )


def point(client: redis.Redis, **fields: Any) -> None:
    """Write the pointer as the control side would."""
    pointer = {"rev": 1, "treatment": "old", "control": None, "salt": "s", "share_bp": 10_000, "cap_bp": 10_000}
    client.set(ProductKeys(PRODUCT).pointer, json.dumps(pointer | {"hold": None, "previous": None} | fields))


class Clock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    """At zero."""
    return Clock()


@pytest.fixture
def store(clean_redis: redis.Redis) -> Iterator[redis.Redis]:
    """Both runs loaded; the old one serves everybody."""
    load(clean_redis, RUNS["old"], OLD)
    load(clean_redis, RUNS["new"], NEW)
    point(clean_redis)
    return clean_redis


@pytest.fixture
def make(clean_redis: redis.Redis) -> Iterator[Callable[..., BothReaders]]:
    """Makes a pair of readers, which is closed after the test."""
    made: list[BothReaders] = []

    def pair(**own: Any) -> BothReaders:
        made.append(BothReaders(clean_redis, PRODUCT, **own))
        return made[-1]

    yield pair
    for each in made:
        each.close()


@pytest.fixture
def reader(make: Callable[..., BothReaders], store: redis.Redis, clock: Clock) -> BothReaders:
    """Readers 90 seconds after the runs were announced."""
    return make(clock=clock, now=lambda: CREATED + timedelta(seconds=90))


def test_a_users_own_list_cut_to_the_runs_size(reader: BothReaders) -> None:
    answer = reader.lookup(1)
    assert (answer.kind, answer.run, answer.arm, answer.share_bp) == ("list", "old", "treatment", 10_000)
    assert (answer.source_ids, answer.scores) == ((10, 11), (3.0, 2.0))
    assert (answer.excluded, answer.age_seconds) == (0, 90.0)


def test_an_empty_list_is_served_empty(reader: BothReaders) -> None:
    answer = reader.lookup(3)
    assert (answer.kind, answer.source_ids) == ("list", ())


def test_a_user_without_a_list_gets_the_runs_fallback(reader: BothReaders) -> None:
    answer = reader.lookup(99)
    assert (answer.kind, answer.run, answer.source_ids, answer.scores) == ("fallback", "old", (900, 901), ())


@pytest.mark.parametrize(
    ("user", "exclude", "left", "excluded"),
    [
        (1, {10}, (11, 12), 1),  # the third source moves up
        (1, {"10", 7}, (11, 12), 1),  # ids as text, and one that is not in the list
        (1, {10, 11, 12}, (), 3),
        (99, {900}, (901, 902), 1),  # from the fallback list
    ],
)
def test_exclusions_are_applied_and_counted(
    reader: BothReaders, user: int, exclude: set[int | str], left: tuple[int, ...], excluded: int
) -> None:
    answer = reader.lookup(user, exclude)
    assert (answer.source_ids, answer.excluded) == (left, excluded)
    assert len(answer.scores) == (len(left) if answer.kind == "list" else 0)


def test_the_arm_is_the_contracts_and_the_control_may_have_no_run(store: redis.Redis, reader: BothReaders) -> None:
    point(store, share_bp=5_000)
    answers = [reader.lookup(user) for user in range(1, 200)]
    treated = [answer.user_id for answer in answers if answer.arm == "treatment"]
    assert treated == [user for user in range(1, 200) if arm_of(user, "s") < 5_000]
    assert 0 < len(treated) < 199
    for answer in answers:
        if answer.arm == "control":
            assert (answer.kind, answer.run, answer.source_ids) == ("control", None, ())


def test_a_control_run_answers_the_control_arm(store: redis.Redis, reader: BothReaders) -> None:
    point(store, share_bp=0, treatment="new", control="old")
    answer = reader.lookup(5)
    assert (answer.arm, answer.run, answer.kind, answer.source_ids) == ("control", "old", "list", (50, 51))


def test_share_zero_is_the_kill_switch(store: redis.Redis, reader: BothReaders) -> None:
    point(store, share_bp=0)
    assert {reader.lookup(user).kind for user in range(1, 50)} == {"control"}


def test_a_treatment_without_a_run_is_none(store: redis.Redis, reader: BothReaders) -> None:
    point(store, treatment=None)
    answer = reader.lookup(1)
    assert (answer.arm, answer.kind, answer.run, answer.age_seconds) == ("treatment", "none", None, None)


def test_the_pointer_is_kept_for_two_seconds_and_no_longer(
    store: redis.Redis, reader: BothReaders, clock: Clock
) -> None:
    assert reader.lookup(1).run == "old"
    point(store, treatment="new")
    clock.seconds = 2.0
    assert reader.lookup(1).run == "old"
    clock.seconds = 2.01
    assert reader.lookup(1).run == "new"


def test_a_look_up_in_between_is_one_hget(store: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader(store, PRODUCT)
    reader.lookup(1)
    calls: list[tuple[Any, ...]] = []
    send = store.execute_command
    monkeypatch.setattr(store, "execute_command", lambda *args, **options: calls.append(args) or send(*args, **options))
    reader.lookup(1)
    assert calls == [("HGET", RUNS["old"].layout.bucket("old", *RUNS["old"].layout.place_of(1)), b"1")]


def test_nothing_found_refreshes_the_pointer_once(store: redis.Redis, reader: BothReaders) -> None:
    reader.lookup(1)
    point(store, treatment="new")
    answer = reader.lookup(4)  # only in the new run
    assert (answer.run, answer.kind, answer.source_ids) == ("new", "list", (40,))


def test_a_fallback_is_never_of_another_run_than_it_says(store: redis.Redis, reader: BothReaders) -> None:
    reader.lookup(1)
    point(store, treatment="new")
    answer = reader.lookup(77)  # in neither run
    assert (answer.run, answer.kind, answer.source_ids) == ("new", "fallback", (905,))


def test_string_ids(store: redis.Redis, make: Callable[..., BothReaders]) -> None:
    lists: Lists = {"жук": ["a", "b"], "7": ["c"]}
    load(store, announcement_of(lists, run="text", ids="string", fallback=("z",)), lists)
    point(store, treatment="text")
    reader = make()
    assert reader.lookup("жук", exclude=["a"]).source_ids == ("b",)
    assert reader.lookup("nobody").source_ids == ("z",)
    for user in (7, "", "a\0", "x" * 256, "\udcff"):
        with pytest.raises(BadUserId, match="string ids"):
            reader.lookup(user)


@pytest.mark.parametrize("user", ["01", " 1", "1.0", "", "x", "-0", "+1", "١", True, str(2**63)])
def test_another_spelling_of_a_number_is_refused_not_missed(reader: BothReaders, user: Any) -> None:
    with pytest.raises(BadUserId, match="int64 ids"):
        reader.lookup(user)


@pytest.mark.parametrize("user", ["1", -1, -(2**63), 2**63 - 1])
def test_every_int64_may_be_asked_for(reader: BothReaders, user: int | str) -> None:
    assert reader.lookup(user).run == "old"


def test_without_a_pointer_it_is_unavailable(make: Callable[..., BothReaders]) -> None:
    with pytest.raises(Unavailable, match=r"nothing is published.*discovery runs"):
        make().lookup(1)


def test_a_store_that_lost_everything_is_noticed_within_the_cache_time(
    store: redis.Redis, reader: BothReaders, clock: Clock
) -> None:
    reader.lookup(1)
    store.flushall()
    with pytest.raises(Unavailable):  # at once, since the list is not found
        reader.lookup(1)
    with pytest.raises(Unavailable):
        reader.lookup(99)


def test_a_run_that_the_registry_lost_is_unavailable(store: redis.Redis, reader: BothReaders) -> None:
    store.delete(ProductKeys(PRODUCT).runs)
    with pytest.raises(Unavailable, match="run old serves but Redis does not know it"):
        reader.lookup(1)


def test_what_cannot_be_read_is_an_error_not_an_answer(
    store: redis.Redis, reader: BothReaders, make: Callable[..., BothReaders]
) -> None:
    store.hset(RUNS["old"].layout.bucket("old", *RUNS["old"].layout.place_of(1)), "1", b"\xff\xff")
    with pytest.raises(MalformedMessage):
        reader.lookup(1)
    store.set(ProductKeys(PRODUCT).pointer, b"{")
    with pytest.raises(MalformedMessage, match="ptr cannot be read"):
        make().lookup(1)


def test_fields_that_a_newer_writer_adds_are_ignored(
    store: redis.Redis, reader: BothReaders, make: Callable[..., BothReaders]
) -> None:
    keys, before = ProductKeys(PRODUCT), reader.lookup(1)
    pointer = json.loads(store.get(keys.pointer)) | {"new": {"in": "version 2"}}
    run = json.loads(store.hget(keys.runs, "old")) | {"new": [1]}
    store.set(keys.pointer, json.dumps(pointer))
    store.hset(keys.runs, "old", json.dumps(run))
    again = make().lookup(1)
    assert (again.run, again.source_ids, again.kind) == (before.run, before.source_ids, before.kind)


@pytest.mark.parametrize("change", [{"format": 2}, {"codec": 2}])
def test_a_format_or_codec_of_the_future_is_refused(
    store: redis.Redis, make: Callable[..., BothReaders], change: dict[str, int]
) -> None:
    keys = ProductKeys(PRODUCT)
    store.hset(keys.runs, "old", json.dumps(json.loads(store.hget(keys.runs, "old")) | change))
    with pytest.raises(MalformedMessage, match="upgrade"):
        make().lookup(1)


def test_no_redis_is_a_clear_error() -> None:
    reader = BothReaders(redis.Redis(port=closed_port(), retry=None), PRODUCT)
    with pytest.raises(StoreUnreachable, match="cannot be reached"):
        reader.lookup(1)
    reader.close()


@pytest.mark.parametrize(("n", "left"), [(1, (10,)), (2, (10, 11)), (1_000, (10, 11))])
def test_fewer_may_be_asked_for_but_not_more_than_the_runs_size(
    reader: BothReaders, n: int, left: tuple[int, ...]
) -> None:
    answer = reader.lookup(1, (), n)
    assert (answer.source_ids, len(answer.scores)) == (left, len(left))
    with pytest.raises(BadLookup, match="at least 1"):
        reader.lookup(1, (), 0)


def test_every_answer_is_kept_with_its_surface(store: redis.Redis) -> None:
    kept: list[tuple[Answer, str]] = []

    class Kept:
        def log(self, answer: Answer, surface: str) -> None:
            kept.append((answer, surface))

    reader = Reader(store, PRODUCT, exposures=Kept())
    answers = [reader.lookup(1), reader.lookup(99, surface="home.top")]
    assert kept == list(zip(answers, ["default", "home.top"], strict=True))
    for surface in ("", "Home", "a b", "x" * 65, "ä"):
        with pytest.raises(BadLookup, match="surface"):
            reader.lookup(1, surface=surface)
    assert len(kept) == 2
