"""Promotion, rollback, hold and share, against the real Redis."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from conf.share import EVERYBODY, NOBODY, Share
from publish.connect.confirmed_sender import Outgoing
from publish.errors import PointerMoved, RunHeld, RunRefused
from publish.runs.pointer import Change, Pointer, PointerStore
from publish.runs.promotion import Promoter, Promotion, PromotionResult
from publish.runs.registry import RunRegistry
from publish.runs.run import RunState
from publish.wire.announcement import Announcement
from tests.publish.support.changes import Log
from tests.publish.support.pushing import publish_directly


@pytest.fixture
def promoter(clean_redis: redis.Redis) -> Promoter:
    return Promoter(RunRegistry(clean_redis, "groups"), PointerStore(clean_redis, "groups"))


@pytest.fixture
def first(promoter: Promoter, clean_redis: redis.Redis) -> Announcement:
    """The first run, which serves 60 users."""
    run = publish_directly(clean_redis, "groups", first=True)
    promoter.promote(run.run)
    return run


def state(promoter: Promoter, run: Announcement) -> RunState:
    return promoter.registry.get(run.run).state


def test_a_promoted_run_serves_and_the_one_before_is_kept(
    promoter: Promoter, first: Announcement, clean_redis: redis.Redis
) -> None:
    second = publish_directly(clean_redis, "groups")
    pointer = promoter.promote(second.run)
    assert (pointer.treatment, pointer.previous, pointer.rev) == (second.run, first.run, 2)
    assert (pointer.share_bp, pointer.salt) == (EVERYBODY, "discovery-1")
    assert promoter.promote(second.run) == pointer  # again: no change


@pytest.mark.parametrize(
    ("changes", "users", "why"),
    [
        ({}, 20, "users at 100 %, -66.7%"),
        ({}, 100, r"\+66.7%"),
        ({"gates_passed": False}, 60, "gates"),
        ({}, 0, "empty"),
        ({"first": True}, 0, "empty"),
        ({"share_bp": 2_500}, 60, "100 %"),  # as many users at a quarter of the share: four times too many
    ],
)
def test_a_run_that_breaks_a_rule_is_not_promoted(
    promoter: Promoter,
    first: Announcement,
    clean_redis: redis.Redis,
    changes: dict[str, object],
    users: int,
    why: str,
) -> None:
    run = publish_directly(clean_redis, "groups", users, **changes)
    with pytest.raises(RunRefused, match=why):
        promoter.promote(run.run)
    assert promoter.pointers.read().treatment == first.run
    assert promoter.promote_if_ready(run.run).result is PromotionResult.FAILED
    assert state(promoter, run) is RunState.FAILED


@pytest.mark.parametrize(("users", "share_bp"), [(15, 2_500), (60, 10_000), (89, 10_000)])
def test_users_are_compared_share_for_share(
    promoter: Promoter, first: Announcement, clean_redis: redis.Redis, users: int, share_bp: int
) -> None:
    run = publish_directly(clean_redis, "groups", users, share_bp=share_bp)
    assert promoter.promote(run.run).share_bp == Share(share_bp)


def test_the_first_run_must_say_so(promoter: Promoter, clean_redis: redis.Redis) -> None:
    run = publish_directly(clean_redis, "groups")
    with pytest.raises(RunRefused, match="--first"):
        promoter.promote(run.run)


def test_an_older_run_that_arrives_late_is_not_promoted(promoter: Promoter, clean_redis: redis.Redis) -> None:
    older, newer = (publish_directly(clean_redis, "groups", first=True) for _ in range(2))
    promoter.promote(newer.run)
    assert "older" in promoter.promote_if_ready(older.run).reason


def test_a_run_that_is_not_ready_is_not_promoted(promoter: Promoter, clean_redis: redis.Redis) -> None:
    run = publish_directly(clean_redis, "groups", first=True)
    promoter.registry.fail(run.run, "because")
    with pytest.raises(RunRefused, match="FAILED"):
        promoter.promote(run.run)
    assert promoter.pointers.read() == Pointer()


def test_a_hold_stops_promotions_and_lifting_it_promotes_nothing(
    promoter: Promoter, first: Announcement, clean_redis: redis.Redis
) -> None:
    promoter.hold("looking into it")
    assert promoter.hold("another reason") == promoter.pointers.read()
    run = publish_directly(clean_redis, "groups")
    with pytest.raises(RunHeld, match="looking into it"):
        promoter.promote(run.run)
    assert promoter.promote_if_ready(run.run).result is PromotionResult.HELD
    assert promoter.unhold().treatment == first.run
    assert promoter.promote_if_ready(run.run).result is PromotionResult.HELD  # a person must
    assert state(promoter, run) is RunState.READY
    assert promoter.promote(run.run).treatment == run.run


def test_rollback_serves_the_run_before_and_holds(
    promoter: Promoter, first: Announcement, clean_redis: redis.Redis
) -> None:
    second = publish_directly(clean_redis, "groups")
    promoter.promote(second.run)
    pointer = promoter.rollback(reason="bad lists")
    assert (pointer.treatment, pointer.previous) == (first.run, None)
    assert pointer.hold is not None
    assert "bad lists" in pointer.hold.reason
    assert state(promoter, second) is RunState.ROLLED_BACK
    with pytest.raises(RunRefused, match="no run to go back to"):
        promoter.rollback(reason="again")
    with pytest.raises(RunRefused, match="ROLLED_BACK"):
        promoter.rollback(second.run, reason="forward")
    assert promoter.rollback(first.run, reason="again") == pointer  # said and done already
    third = publish_directly(clean_redis, "groups")
    assert promoter.promote_if_ready(third.run).result is PromotionResult.HELD


def test_rollback_to_a_run_that_cannot_serve_is_refused(
    promoter: Promoter, first: Announcement, clean_redis: redis.Redis
) -> None:
    failed, ready, third = (publish_directly(clean_redis, "groups") for _ in range(3))
    promoter.promote(ready.run)
    promoter.registry.fail(failed.run, "because")
    with pytest.raises(RunRefused, match="FAILED"):
        promoter.rollback(failed.run, reason="why")
    with pytest.raises(RunRefused, match="newer"):
        promoter.rollback(third.run, reason="why")
    with pytest.raises(RunRefused, match="serves already"):
        promoter.rollback(ready.run, reason="why")
    assert promoter.pointers.read().treatment == ready.run


def test_rollback_of_nothing_is_refused(promoter: Promoter) -> None:
    with pytest.raises(RunRefused, match="nothing serves"):
        promoter.rollback(reason="why")


def test_a_run_that_served_before_is_neither_promoted_nor_failed_by_itself(
    promoter: Promoter, first: Announcement, clean_redis: redis.Redis
) -> None:
    for _ in range(2):
        promoter.promote(publish_directly(clean_redis, "groups").run)
    assert promoter.registry.get(first.run).status.let_go is not None
    assert promoter.promote_if_ready(first.run).result is PromotionResult.REPLACED
    assert promoter.promote_if_ready(promoter.pointers.read().previous or "").result is PromotionResult.REPLACED
    assert state(promoter, first) is RunState.READY


def test_the_cap_outlives_promotions_and_claims_no_more_than_a_run_covers(
    promoter: Promoter, first: Announcement, clean_redis: redis.Redis
) -> None:
    assert promoter.cap_share(Share(0)).share_bp == NOBODY
    promoter.promote(publish_directly(clean_redis, "groups").run)
    assert promoter.pointers.read().share_bp == NOBODY  # the kill switch holds
    promoter.promote(publish_directly(clean_redis, "groups", 15, share_bp=2_500).run)
    assert promoter.cap_share(Share(5_000)).share_bp == Share(2_500)


def test_many_at_once_promote_once(promoter: Promoter, first: Announcement, clean_redis: redis.Redis) -> None:
    run = publish_directly(clean_redis, "groups")

    def try_it(_: int) -> Promotion:
        mine = Promoter(RunRegistry(clean_redis, "groups"), PointerStore(clean_redis, "groups"))
        return mine.promote_if_ready(run.run)

    with ThreadPoolExecutor(8) as pool:
        verdicts = {promotion.result for promotion in pool.map(try_it, range(16))}
    assert verdicts == {PromotionResult.SERVING}
    assert promoter.pointers.read().rev == 2


def test_a_change_in_between_is_not_lost(promoter: Promoter, first: Announcement, clean_redis: redis.Redis) -> None:
    other = Promoter(promoter.registry, PointerStore(clean_redis, "groups"))
    seen: list[int] = []

    def decide(pointer: Pointer) -> Change:
        seen.append(pointer.rev)
        if len(seen) == 1:
            other.hold("at the same moment")
        return Change(pointer.model_copy(update={"cap_bp": Share(1_234)}))

    after = promoter.pointers.change(decide, reason="a test")
    assert (seen, after.rev) == ([1, 2], 3)
    assert after.hold is not None
    assert after.cap_bp == Share(1_234)


def test_a_pointer_that_never_stands_still_is_an_error(promoter: Promoter, clean_redis: redis.Redis) -> None:
    other = Promoter(promoter.registry, PointerStore(clean_redis, "groups"))

    def decide(pointer: Pointer) -> Change:
        other.cap_share(Share(9_000 if pointer.cap_bp == Share(8_000) else 8_000))
        return Change(pointer.model_copy(update={"cap_bp": Share(1)}))

    with pytest.raises(PointerMoved, match="3 times"):
        promoter.pointers.change(decide, reason="a test", attempts=3)


def test_a_full_redis_can_still_be_rolled_back(
    promoter: Promoter, first: Announcement, clean_redis: redis.Redis
) -> None:
    promoter.promote(publish_directly(clean_redis, "groups").run)
    before = clean_redis.config_get("maxmemory")["maxmemory"]
    clean_redis.config_set("maxmemory", 1)
    try:
        assert promoter.rollback(reason="bad").treatment == first.run
    finally:
        clean_redis.config_set("maxmemory", before)


def test_a_log_that_fails_does_not_undo_the_swap_and_is_caught_up(
    clean_redis: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    log = Log("groups")
    log.state = "down"
    pointers = PointerStore(clean_redis, "groups", log=log)
    promoter = Promoter(RunRegistry(clean_redis, "groups"), pointers)
    publish_directly(clean_redis, "groups")
    held = promoter.hold("for a test")
    assert "revision 1 is not yet in groups.pointer.v1 and groups.pointer-history.v1: down" in caplog.text
    log.state = "up"
    pointers.write_down_if_new()
    pointers.write_down_if_new()
    assert log.kept["groups.pointer.v1"] == [held.model_dump_json().encode()]
    assert log.kept["groups.pointer-history.v1"] == clean_redis.lrange("{groups}:ptr:history", 0, -1)
    assert pointers.unsent.entries() == []


def test_the_newest_pointer_is_the_last_in_the_log_also_when_an_older_one_comes_late(clean_redis: redis.Redis) -> None:
    log = Log("groups")
    operator = PointerStore(clean_redis, "groups", log=log)

    class Late:
        """A log on the way to which another process changes the pointer."""

        def append(self, product: str, batches: Mapping[str, Sequence[Outgoing]]) -> None:
            if operator.read().rev == 1:
                operator.change(lambda before: Change(before.model_copy(update={"cap_bp": Share(0)})), reason="a test")
            log.append(product, batches)

    publish_directly(clean_redis, "groups")
    Promoter(RunRegistry(clean_redis, "groups"), PointerStore(clean_redis, "groups")).hold("for a test")
    PointerStore(clean_redis, "groups", log=Late()).write_down_if_new()  # as a loader does
    assert [Pointer.model_validate_json(kept).rev for kept in log.kept["groups.pointer.v1"]] == [2, 1, 2]
