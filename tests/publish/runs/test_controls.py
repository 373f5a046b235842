"""A run and its control serve together, are rolled back together, and are kept together; against the real Redis."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conf.ids import arm_of
from conf.share import NOBODY, Share
from publish.errors import RunFault, RunHeld, RunRefused
from publish.operate.control import Control
from publish.operate.wait import RunEnding, wait
from publish.read.reader import Reader
from publish.runs.pointer import Pointer
from publish.runs.promotion import PromotionResult
from publish.runs.run import RunState
from publish.runs.run_watch import RunWatch
from publish.wire.announcement import Announcement
from tests.publish.support.pushing import announce, lists_of, load_directly, publish_directly

Pair = tuple[Announcement, Announcement]
"""A control and its treatment."""
LISTS = lists_of(60)
HALF = Share(5_000)


@pytest.fixture
def control(clean_redis: redis.Redis) -> Control:
    return Control.connect(clean_redis, "groups")


def pair(client: redis.Redis, users: int = 60, **changes: Any) -> Pair:
    """Both READY."""
    control = publish_directly(client, "groups", users, role="control")
    treatment = publish_directly(client, "groups", users // 2, control=control.run, share_bp=5_000, **changes)
    return control, treatment


def advance(control: Control, run: Announcement) -> None:
    """What a loader does each second."""
    with suppress(RunFault):
        RunWatch(control.lifecycle, all_sent=True).advance(control.registry.get(run.run))


def arms(pointer: Pointer) -> tuple[str | None, ...]:
    return pointer.treatment, pointer.control, pointer.previous, pointer.previous_control


def test_both_are_promoted_together_and_users_get_the_run_of_their_arm(
    control: Control, clean_redis: redis.Redis
) -> None:
    alone = publish_directly(clean_redis, "groups", first=True)
    control.promote(alone.run)
    left, right = pair(clean_redis, first=True)
    advance(control, left)
    assert control.pointers.read().treatment == alone.run  # a control alone changes nothing
    advance(control, right)
    pointer = control.pointers.read()
    assert arms(pointer) == (right.run, left.run, alone.run, None)
    assert pointer.share_bp == HALF
    assert control.promoter.promote_if_ready(left.run).result is PromotionResult.CONTROL
    reader = Reader(clean_redis, "groups")
    for user in range(40):
        answer = reader.lookup(user)
        treated = arm_of(user, right.salt) < 5_000
        assert (answer.arm, answer.run) == (("treatment", right.run) if treated else ("control", left.run))
        assert answer.kind == ("list" if user < (30 if treated else 60) else "fallback")
    # The kill switch: everybody gets the control's lists.
    control.share(NOBODY)
    assert {Reader(clean_redis, "groups").lookup(user).run for user in range(40)} == {left.run}
    assert control.pointers.read().control == left.run
    control.share(Share(10_000))
    assert control.pointers.read().share_bp == HALF


def test_a_treatment_waits_for_its_control(control: Control, clean_redis: redis.Redis) -> None:
    left = announce(clean_redis, "groups", LISTS, role="control")
    right = publish_directly(clean_redis, "groups", control=left.run, first=True)
    advance(control, right)
    found = control.promoter.promote_if_ready(right.run)
    assert (found.result, "waits for its control" in found.reason) == (PromotionResult.POSTPONED, True)
    assert control.pointers.read() == Pointer()
    with pytest.raises(RunRefused, match="which is ANNOUNCED"):
        control.promote(right.run)
    load_directly(clean_redis, left, LISTS)
    for run in (right, left, right):
        advance(control, run)
    assert arms(control.pointers.read()) == (right.run, left.run, None, None)


def test_a_control_that_lost_writes_is_loaded_again_before_both_serve(
    control: Control, clean_redis: redis.Redis
) -> None:
    left, right = pair(clean_redis, first=True)
    state = left.layout.state(left.run, 1)
    kept = clean_redis.dump(state)
    clean_redis.delete(state)
    advance(control, right)
    assert control.pointers.read() == Pointer()
    with pytest.raises(RunRefused, match="is not whole: Redis lost writes of partitions 1"):
        control.promote(right.run)
    clean_redis.restore(state, 0, kept)
    advance(control, right)
    assert arms(control.pointers.read()) == (right.run, left.run, None, None)


@pytest.mark.parametrize("loaded", [True, False])
def test_a_treatment_whose_control_failed_fails_for_that_reason(
    control: Control, clean_redis: redis.Redis, loaded: bool
) -> None:
    left = announce(clean_redis, "groups", LISTS, role="control")
    right = announce(clean_redis, "groups", LISTS, control=left.run, first=True)
    load_directly(clean_redis, right, LISTS, leave=0 if loaded else 1)
    control.registry.fail(left.run, "no room")
    advance(control, right)
    found = control.registry.get(right.run)
    assert found.state is RunState.FAILED
    assert found.status.reason is not None
    assert f"its control, run {left.run}, is FAILED (no room)" in found.status.reason
    assert control.pointers.read() == Pointer()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"role": "treatment"}, "was not made as one"),
        ({"role": "control", "gates_passed": False}, "did not pass its gates"),
        (None, "was never announced"),
    ],
)
def test_what_is_no_control_does_not_serve(
    control: Control, clean_redis: redis.Redis, changes: dict[str, Any] | None, words: str
) -> None:
    name = "run-nobody" if changes is None else publish_directly(clean_redis, "groups", **changes).run
    right = publish_directly(clean_redis, "groups", control=name, first=True)
    with pytest.raises(RunRefused, match=words):
        control.promote(right.run)
    assert control.promoter.promote_if_ready(right.run).result is PromotionResult.FAILED


def test_a_control_is_not_made_the_treatment_by_hand(control: Control, clean_redis: redis.Redis) -> None:
    left, right = pair(clean_redis, first=True)
    with pytest.raises(RunRefused, match="promote that one"):
        control.promote(left.run)
    control.promote(right.run)
    with pytest.raises(RunRefused, match="is a control; name its treatment"):
        control.rollback(left.run, reason="why")


def test_rollback_goes_to_the_run_before_and_its_control(control: Control, clean_redis: redis.Redis) -> None:
    first, second = pair(clean_redis, first=True), pair(clean_redis)
    for _, treatment in (first, second):
        control.promote(treatment.run)
    assert arms(control.pointers.read()) == (second[1].run, second[0].run, first[1].run, first[0].run)
    for run in (*first, *second):
        with pytest.raises(RunRefused):
            control.clear(run.run)
    pointer = control.rollback(reason="bad lists")
    assert arms(pointer) == (first[1].run, first[0].run, None, None)
    states = [control.registry.get(run.run).state for run in (*first, *second)]
    assert states == [RunState.READY, RunState.READY, RunState.ROLLED_BACK, RunState.ROLLED_BACK]


def test_the_way_back_from_an_experiment_and_out_of_it(control: Control, clean_redis: redis.Redis) -> None:
    before = publish_directly(clean_redis, "groups", first=True)
    left, right = pair(clean_redis, first=True)
    after = publish_directly(clean_redis, "groups", first=True)
    control.promote(before.run)
    control.promote(right.run)
    assert arms(control.rollback(before.run, reason="why")) == (before.run, None, None, None)
    assert control.registry.get(left.run).state is RunState.ROLLED_BACK
    control.unhold()
    control.promote(after.run)
    assert arms(control.pointers.read()) == (after.run, None, before.run, None)


def test_a_control_that_is_gone_is_no_way_back(control: Control, clean_redis: redis.Redis) -> None:
    pairs = [pair(clean_redis, first=True) for _ in range(3)]
    for _, treatment in pairs:
        control.promote(treatment.run)
    control.registry.retire(pairs[0][0].run, "by hand")
    with pytest.raises(RunRefused, match=rf"its control, run {pairs[0][0].run}, is RETIRED"):
        control.rollback(pairs[0][1].run, reason="why")


def test_what_is_needed_is_kept_and_what_will_never_serve_is_cleared(clean_redis: redis.Redis) -> None:
    now = [datetime.now(UTC)]
    control = Control.connect(clean_redis, "groups", clock=lambda: now[0])
    pairs = [pair(clean_redis, first=True) for _ in range(3)]
    for _, treatment in pairs:
        control.promote(treatment.run)
    forsaken = publish_directly(clean_redis, "groups", role="control")  # its treatment never came
    assert control.housekeeping.unneeded() == ()
    assert [run.name for run in control.housekeeping.unneeded(coming=forsaken.epoch + 1)] == [forsaken.run]
    coming = announce(clean_redis, "groups", LISTS, role="control")
    failed = publish_directly(clean_redis, "groups", role="control")
    treatment = announce(clean_redis, "groups", LISTS, control=failed.run)
    with pytest.raises(RunRefused, match="may serve yet"):
        control.clear(failed.run)
    control.registry.fail(treatment.run, "because")
    now[0] += timedelta(hours=2)
    assert set(control.retire_unneeded(keep=1)) == {forsaken.run, failed.run, treatment.run}
    assert set(control.retire_unneeded()) == {run.run for run in pairs[0]}
    assert control.registry.get(coming.run).state is RunState.ANNOUNCED


def test_both_are_verified(control: Control, clean_redis: redis.Redis) -> None:
    left, right = pair(clean_redis, first=True)
    assert control.verify(right.run) == ()
    clean_redis.delete(*left.layout.bucket_keys(left.run, 1))
    (fault,) = control.verify(right.run)
    assert f"its control, run {left.run}" in fault


def test_whoever_waits_for_a_control_waits_until_it_is_complete(control: Control, clean_redis: redis.Redis) -> None:
    left = announce(clean_redis, "groups", LISTS, role="control")
    load_directly(clean_redis, left, LISTS)
    ended = wait(left.run, control.lifecycle, control.pointers, sleep=lambda seconds: None)
    assert (ended.ending, "as soon as its treatment serves" in ended.reason) == (RunEnding.SERVING, True)


WORDS = ["pair", "alone", "promote", "rollback", "share", "hold", "unhold", "fail control", "advance", "tidy", "later"]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(st.sampled_from(WORDS), max_size=15))
def test_whatever_happens_both_arms_belong_together(clean_redis: redis.Redis, words: list[str]) -> None:
    clean_redis.flushall()
    now = [datetime.now(UTC)]
    control = Control.connect(clean_redis, "groups", clock=lambda: now[0])
    runs: list[Announcement] = []
    for word in words:
        try:
            match word:
                case "pair":
                    runs += pair(clean_redis, 6, first=True)
                case "alone":
                    runs.append(publish_directly(clean_redis, "groups", 6, first=True))
                case "promote" if runs:
                    control.promote(runs[-1].run)
                case "rollback":
                    control.rollback(reason="why")
                case "share":
                    control.share(Share(2_500))
                case "hold":
                    control.hold("why")
                case "unhold":
                    control.unhold()
                case "fail control" if len(runs) > 1:
                    control.registry.fail(runs[-2].run, "why")
                case "advance":
                    for run in runs:
                        if not control.registry.get(run.run).state.is_over:
                            advance(control, run)
                case "tidy":
                    control.retire_unneeded()
                case "later":
                    now[0] += timedelta(hours=30)
        except (RunRefused, RunHeld):
            pass
        _belong_together(control)


def _belong_together(control: Control) -> None:
    pointer = control.pointers.read()
    for run, other in ((pointer.treatment, pointer.control), (pointer.previous, pointer.previous_control)):
        if run is None:
            assert other is None
            continue
        found = control.registry.get(run)
        assert (found.announcement.role, found.announcement.control) == ("treatment", other)
        for name in (run, other):
            if name is not None:
                status = control.registry.get(name).status
                assert (status.state, status.cleared) == (RunState.READY, None)
