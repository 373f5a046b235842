"""The operator of a hunt: holds, rolls back, changes the share and tidies up, at bad moments."""

import threading
import time
from datetime import timedelta

from benchmarks.crash.journal import Journal
from benchmarks.crash.plan import SHARES, Action
from benchmarks.crash.push import PRODUCT
from conf.connections import KafkaConnection
from conf.share import EVERYBODY, Share
from publish.clock import utc_now
from publish.connect.confirmed_sender import KafkaPointerLog
from publish.connect.redis_clients import StoreClient
from publish.errors import PointerMoved, PublishError, RunHeld, RunRefused, StoreUnreachable
from publish.operate.control import Control
from publish.runs.housekeeping import Housekeeping
from publish.runs.run import RegisteredRun, RunState
from publish.store.redis_store import RedisStore

GRACE = timedelta(seconds=6)
"""Time until an unneeded run is cleared: readers cache the pointer for 2 s, and an hour of runs would not fit here."""
_LATE_SECONDS = 60.0  # a frozen Redis may still carry out a command that timed out


class Operator:
    """Executes one order at a time; an order may fail because Redis is away, which is noted in the journal."""

    def __init__(self, client: StoreClient, kafka: KafkaConnection, journal: Journal) -> None:
        self.control = Control.connect(client, PRODUCT, log=KafkaPointerLog(kafka))
        registry, pointers = self.control.registry, self.control.pointers
        self._housekeeping = Housekeeping(registry, pointers, RedisStore(client), grace=GRACE)
        self._journal = journal
        self._lock = threading.Lock()

    def order(self, action: Action, draw: float) -> None:
        """Executes one order of a plan."""
        with self._lock:
            started = time.monotonic()
            try:
                result = self._do(action, draw)
            except (RunRefused, RunHeld, PointerMoved) as refused:
                result = f"refused: {refused}"
            except StoreUnreachable as away:
                result = f"no answer: {away}"
            self._journal.count(f"operator {action}")
            self._journal.note(f"operator {action}: {result} ({time.monotonic() - started:.1f} s)")

    def calm(self) -> None:
        """Restores the full share, lifts the hold and promotes the newest run that was held."""
        with self._lock:
            try:
                pointer = self.control.pointers.read()
                if pointer.cap_bp != EVERYBODY:
                    self.control.share(EVERYBODY)
                if pointer.hold is None:
                    return
                self.control.unhold()
                held = [report.run.name for report in self.control.status().waiting]
                self._journal.note(f"operator unhold; waiting: {', '.join(held) or 'nobody'}")
                if held:
                    self.control.promote(held[-1])
            except PublishError as error:
                self._journal.note(f"operator calm: {type(error).__name__}: {error}")

    def _do(self, action: Action, draw: float) -> str:
        match action:
            case "rollback":
                return self._roll_back()
            case "hold":
                return f"revision {self.control.hold('the hunter says so').rev}"
            case "share":
                share = Share(SHARES[int(draw * len(SHARES))])
                return f"{share} asked, {self.control.share(share).served} served"
            case "tidy":
                return f"cleared {', '.join(self.tidy()) or 'nothing'}"
            case _:
                raise ValueError(action)

    def _roll_back(self) -> str:
        with self._journal.window("setback") as window:
            try:
                pointer = self.control.rollback(reason="the hunter says so")
            except StoreUnreachable:
                window.tail = _LATE_SECONDS
                raise
        if pointer.hold is None:
            self._journal.violation("rollback", f"revision {pointer.rev} has no hold after a rollback")
        return f"{pointer.treatment} serves, revision {pointer.rev}"

    def tidy(self) -> tuple[str, ...]:
        """Clears runs that nothing needs. Returns their names."""
        cleared = list(self._housekeeping.retire_unneeded())
        for run in self.control.registry.list_runs():
            if _is_left_over(run):
                self._housekeeping.clear(run.name)
                cleared.append(run.name)
        return tuple(cleared)


def _is_left_over(run: RegisteredRun) -> bool:
    """Returns whether the run was rolled back more than two grace periods ago and not cleared."""
    rolled_back = run.state is RunState.ROLLED_BACK and run.status.cleared is None
    return rolled_back and utc_now() - run.status.since > 2 * GRACE
