"""Any order of weeks and of what people say: nothing goes beyond the kill switch, the cap and the hold."""

import itertools
from pathlib import Path
from typing import Any

import redis
from hypothesis import HealthCheck
from hypothesis import settings as examples
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from conf.share import NOBODY, Share
from jobs.experiments.decisions import Approval, DecisionRecord
from publish.errors import RunHeld
from publish.runs.pointer import Pointer
from tests.jobs.experiments.test_deciding import AUTO, NOW, World

CAPS = st.sampled_from([NOBODY, Share(300), Share(2_500), Share(10_000)])


def test_people_win_whatever_happens(tmp_path: Path, redis_url: str) -> None:
    client, numbers = redis.Redis.from_url(redis_url), itertools.count()

    class Ramp(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.world = World(tmp_path / str(next(numbers)), client)
            self.world.serve(10_000, salt="of before")
            self.ramp: dict[str, Any] = {**AUTO, "approve": "manual"}
            self.shares = list[int]()
            self.decided = list[DecisionRecord]()

        @property
        def pointer(self) -> Pointer:
            return self.world.control.pointers.read()

        @rule(share=CAPS)
        def cap(self, share: Share) -> None:
            self.world.control.share(share)

        @rule()
        def hold(self) -> None:
            self.world.control.hold("wait")

        @rule()
        def unhold(self) -> None:
            self.world.control.unhold()

        @rule(share=st.sampled_from([500, 2_500, 9_500]))
        def approve(self, share: int) -> None:
            approval = Approval(share_bp=Share(share), approved=NOW, who="ann", reason="fine")
            self.world.decisions.approve(approval)

        @rule(auto=st.booleans())
        def change_who_approves(self, *, auto: bool) -> None:
            self.ramp["approve"] = "auto" if auto else "manual"

        @rule(
            lift=st.sampled_from([0.0, 0.0, 0.0, -0.3]),
            lost=st.sampled_from([0.0, 0.0, 0.0, 0.5]),
            measured=st.booleans(),
            then=st.none() | CAPS,
        )
        def live_a_week(self, lift: float, lost: float, then: Share | None, *, measured: bool) -> None:
            """Measures the week, decides, lets people cap the share meanwhile, and serves the run."""
            if self.shares and measured:
                self.world.measure(self.shares, lift, lost=lost, users=20_000)
            before = self.pointer
            made = self.world.decide(len(self.shares), self.ramp)
            self.check(made, before)
            self.decided.append(made)
            if then is not None:
                self.world.control.share(then)
            if made.action != "stop":
                held = self.pointer
                try:
                    self.world.serve(made.run_share_bp.bp)
                except RunHeld:
                    assert self.pointer == held
                else:
                    assert held.hold is None
            ours = self.pointer.salt == self.world.experiment.salt
            self.shares.append(self.pointer.share_bp.bp if ours else 0)

        def check(self, made: DecisionRecord, before: Pointer) -> None:
            assert made.share_bp <= before.cap_bp
            if before.hold is not None:
                assert made.action != "raise"
            if made.action == "raise":
                steps = (100, 500, 2_500, 5_000, 9_500)
                assert made.before_bp < made.share_bp
                assert made.share_bp.bp <= next(step for step in steps if step > made.before_bp.bp)
                assert self.ramp["approve"] == "auto" or made.share_bp <= made.approved_bp
            if any(one.action == "stop" for one in self.decided):
                assert (made.action, made.enforced) == ("stop", ())

        @invariant()
        def no_share_is_above_the_cap(self) -> None:
            assert self.pointer.share_bp <= self.pointer.cap_bp

    run_state_machine_as_test(
        Ramp,
        settings=examples(
            max_examples=8,
            stateful_step_count=15,
            derandomize=True,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
