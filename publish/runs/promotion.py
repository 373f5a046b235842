"""The rules for promotion, rollback, hold and share."""

from dataclasses import dataclass
from enum import StrEnum

from conf.share import NOBODY, Share
from publish.clock import Clock, utc_now
from publish.errors import MalformedMessage, RunHeld, RunRefused
from publish.runs.pointer import Change, Hold, Pointer, PointerStore
from publish.runs.registry import RunRegistry
from publish.runs.run import RunState, RunStatus
from publish.wire.announcement import Announcement

BY_HAND = "by hand"
"""The default reason of an operator's command."""
REBUILDING = "Redis was lost and is being rebuilt"
"""Why runs are postponed during a rebuild."""


class PromotionResult(StrEnum):
    """Result of trying to promote a run."""

    SERVING = "SERVING"
    HELD = "HELD"
    """Only an operator can promote it now."""
    FAILED = "FAILED"
    REPLACED = "REPLACED"
    """It served before; another run does now."""
    POSTPONED = "POSTPONED"
    """A rebuild is running, or its control is not complete yet; asked again later, it may serve."""
    CONTROL = "CONTROL"
    """It is a control, which its treatment takes along."""


@dataclass(frozen=True)
class Promotion:
    """Result of trying to promote a run, and the reason unless it serves."""

    result: PromotionResult
    reason: str = ""


class _ControlIncomplete(RunRefused):
    """The control of a run is on its way."""


class Promoter:
    """Moves the pointer of one product; raises StoreUnreachable if Redis fails."""

    def __init__(self, registry: RunRegistry, pointers: PointerStore, *, clock: Clock = utc_now) -> None:
        self.registry = registry
        self.pointers = pointers
        self._clock = clock

    def promote_if_ready(self, run: str) -> Promotion:
        """Promotes a READY run automatically; under a hold it stays READY, if it breaks a rule it is FAILED."""
        found, pointer = self.registry.get(run), self.pointers.read()
        status = found.status
        if status.restoring or (pointer.rev == 0 and self.pointers.restoring() is not None):
            return Promotion(PromotionResult.POSTPONED, REBUILDING)
        if found.announcement.role == "control":
            return Promotion(PromotionResult.CONTROL, "it serves the control arm as soon as its treatment serves")
        if status.let_go is not None or run in (pointer.control, pointer.previous):
            return Promotion(PromotionResult.REPLACED, f"it served before; now {pointer.treatment} does")
        if status.held is not None and pointer.treatment != run:
            return Promotion(PromotionResult.HELD, status.held)
        try:
            self._promote(run, f"run {run} is complete", by_hand=False)
        except RunHeld as held:
            self.registry.note_held(run, str(held))
            return Promotion(PromotionResult.HELD, str(held))
        except _ControlIncomplete as incomplete:
            return Promotion(PromotionResult.POSTPONED, str(incomplete))
        except RunRefused as refused:
            if self.registry.fail(run, str(refused)):
                return Promotion(PromotionResult.FAILED, str(refused))
            raise
        return Promotion(PromotionResult.SERVING)

    def promote(self, run: str, *, reason: str = BY_HAND) -> Pointer:
        """Promotes a READY run by an operator's command. Raises UnknownRun, RunHeld, RunRefused.

        Does nothing if the run serves already.
        """
        return self._promote(run, reason, by_hand=True)

    def _promote(self, run: str, reason: str, *, by_hand: bool) -> Pointer:
        candidate = self.registry.get(run).announcement

        def decide(pointer: Pointer) -> Change:
            if pointer.treatment == run:
                return Change(pointer)
            if pointer.hold is not None:
                raise RunHeld(
                    f"run {run} is held: hold since {pointer.hold.since:%F %T}Z ({pointer.hold.reason}); unhold"
                )
            self._check(candidate, pointer, by_hand=by_hand)
            self._check_control(candidate)
            before = {"previous": pointer.treatment, "previous_control": pointer.control}
            return Change(
                _serve(candidate, pointer).model_copy(update=before),
                must_be=dict.fromkeys(_arms(candidate), RunState.READY),
            )

        return self.pointers.change(decide, reason=reason)

    def rollback(self, to: str | None = None, *, reason: str) -> Pointer:
        """Returns to the previous run or to `to`, marks the serving run ROLLED_BACK, sets a hold; raises RunRefused."""
        now = self._clock()

        def decide(pointer: Pointer) -> Change:
            if to is not None and pointer.treatment == to and pointer.hold is not None:
                return Change(pointer)
            served, target = self._way_back(pointer, to)
            hold = Hold(reason=f"rolled back from {served}: {reason}", since=now)
            after = _serve(target, pointer).model_copy(
                update={"previous": None, "previous_control": None, "hold": hold}
            )
            gone = RunStatus(state=RunState.ROLLED_BACK, since=now, reason=reason)
            left = [served, *([pointer.control] if pointer.control not in (None, target.control) else [])]
            must_be = [*_arms(target), *(run for run in left if self._can_be_read(run))]
            return Change(after, must_be=dict.fromkeys(must_be, RunState.READY), becomes=dict.fromkeys(left, gone))

        return self.pointers.change(decide, reason=reason)

    def hold(self, reason: str) -> Pointer:
        """Stops automatic promotion; an earlier hold stays as it is."""
        now = self._clock()

        def decide(pointer: Pointer) -> Change:
            hold = pointer.hold if pointer.hold is not None else Hold(reason=reason, since=now)
            return Change(pointer.model_copy(update={"hold": hold}))

        return self.pointers.change(decide, reason=reason)

    def unhold(self, *, reason: str = BY_HAND) -> Pointer:
        """Lifts the hold; promotes nothing."""
        return self.pointers.change(lambda pointer: Change(pointer.model_copy(update={"hold": None})), reason=reason)

    def cap_share(self, share: Share, *, reason: str = BY_HAND) -> Pointer:
        """Limits the served share from now on, also for later runs; never exceeds the share that the run covers."""

        def decide(pointer: Pointer) -> Change:
            covered = NOBODY
            if pointer.treatment is not None:
                announced = self.registry.find_announcement(pointer.treatment)
                covered = NOBODY if announced is None else announced.share_bp
            return Change(pointer.model_copy(update={"cap_bp": share, "share_bp": min(share, covered)}))

        return self.pointers.change(decide, reason=reason)

    def _can_be_read(self, run: str) -> bool:
        try:
            return self.registry.find(run) is not None
        except MalformedMessage:
            return False

    def control_fault(self, candidate: Announcement) -> str | None:
        """Returns why a run's control can never serve beside it, if so; None also where it may be completed yet."""
        if candidate.control is None:
            return None
        try:
            found = self.registry.find(candidate.control)
        except MalformedMessage as fault:
            return f"its control is run {candidate.control}: {fault}"
        if found is None:
            return f"its control, run {candidate.control}, was never announced"
        if found.announcement.role != "control":
            return f"run {candidate.control}, which it names as its control, was not made as one"
        if not found.announcement.gates_passed:
            return f"its control, run {candidate.control}, did not pass its gates"
        if found.state.is_over:
            why = "" if found.status.reason is None else f" ({found.status.reason})"
            return f"its control, run {candidate.control}, is {found.state}{why}"
        return None

    def _check_control(self, candidate: Announcement) -> None:
        """Raises RunRefused if the run's control cannot serve, or not yet."""
        if fault := self.control_fault(candidate):
            raise RunRefused(f"run {candidate.run}: {fault}")
        if candidate.control is None:
            return
        control = self.registry.get(candidate.control)
        if control.state is not RunState.READY or control.status.restoring:
            raise _ControlIncomplete(
                f"run {candidate.run} waits for its control, run {control.name}, which is {control.state}; both serve "
                "once that is READY"
            )

    def _check(self, candidate: Announcement, pointer: Pointer, *, by_hand: bool) -> None:
        if candidate.role == "control":
            raise RunRefused(
                f"run {candidate.run} is the control of an experiment: it serves the control arm together with its "
                "treatment; promote that one"
            )
        if not candidate.gates_passed:
            raise RunRefused(f"run {candidate.run}: its gates did not pass")
        if candidate.users == 0:
            raise RunRefused(f"run {candidate.run} is empty: no user would get a list of their own")
        if pointer.treatment is None:
            if not candidate.first:
                raise RunRefused(f"run {candidate.run}: nothing serves that it could be compared with; use --first")
            return
        serving = self.registry.find_announcement(pointer.treatment)
        if serving is None and by_hand:
            return  # readers cannot read its announcement either
        if serving is None:
            raise RunHeld(
                f"run {candidate.run} is held: {pointer.treatment} serves, and its record in {self.registry.keys.runs} "
                "cannot be read, so that nothing can be compared with it; `discovery promote` lets the run serve"
            )
        if candidate.epoch <= serving.epoch:
            raise RunRefused(f"run {candidate.run} (epoch {candidate.epoch}) is older than what serves, {serving.run}")
        if not candidate.first:
            _check_users(candidate, serving)

    def _way_back(self, pointer: Pointer, to: str | None) -> tuple[str, Announcement]:
        """Returns the serving run and the announcement of the run to roll back to; raises RunRefused."""
        if pointer.treatment is None:
            raise RunRefused("nothing serves, so there is nothing to roll back")
        target = to if to is not None else pointer.previous
        if target is None:
            raise RunRefused(
                f"there is no run to go back to from {pointer.treatment}; name a READY one with --to, "
                "or stop serving with a share of 0"
            )
        if target == pointer.treatment:
            raise RunRefused(f"run {target} serves already")
        found = self.registry.get(target)
        if found.state is not RunState.READY:
            raise RunRefused(f"run {target} is {found.state} and cannot serve; `discovery runs` shows which are READY")
        if found.announcement.role == "control":
            raise RunRefused(f"run {target} is a control; name its treatment, and both serve")
        self._check_control(found.announcement)
        serving = self.registry.find_announcement(pointer.treatment)
        if serving is not None and found.announcement.epoch > serving.epoch:
            raise RunRefused(f"run {target} is newer than {serving.run}; that is a promotion, not a rollback")
        return pointer.treatment, found.announcement


def _serve(run: Announcement, pointer: Pointer) -> Pointer:
    share = min(run.share_bp, pointer.cap_bp)
    return pointer.model_copy(
        update={"treatment": run.run, "control": run.control, "salt": run.salt, "share_bp": share}
    )


def _arms(run: Announcement) -> list[str]:
    """Returns the runs that serve when this one does: itself, and its control if it has one."""
    return [run.run] if run.control is None else [run.run, run.control]


def _check_users(candidate: Announcement, serving: Announcement) -> None:
    """Raises RunRefused if a run's users per share differ too much from the serving run's, or shares are 0."""
    if NOBODY in (candidate.share_bp, serving.share_bp) or serving.users == 0:
        raise RunRefused(f"run {candidate.run} and {serving.run} have no share in common to compare; use --first")
    now, before = candidate.users / int(candidate.share_bp), serving.users / int(serving.share_bp)
    change = now / before - 1
    if abs(change) > candidate.max_change_of_users:
        raise RunRefused(
            f"run {candidate.run} has {candidate.users} users at {candidate.share_bp}, {change:+.1%} against "
            f"{serving.users} at {serving.share_bp} of {serving.run}; allowed is "
            f"±{candidate.max_change_of_users:.0%} (rollout.max_change_of_users)"
        )
