"""Watches runs under way, in every loader and every `wait`, so that each one ends with a reason."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from publish.clock import Clock, utc_now
from publish.runs.lifecycle import RunLifecycle
from publish.runs.run import RegisteredRun, RunState
from publish.store.durability import damaged
from publish.store.redis_store import PartitionStatus


@dataclass(frozen=True)
class _Observation:
    partitions: tuple[PartitionStatus, ...]
    at: float


class RunWatch:
    """Promotes runs whose lists are all loaded; fails those that make no progress or pass their deadline.

    Time without progress counts only while this process could read Redis; it restarts after an outage. Before BEGIN it
    counts only if the caller knows that everything was sent (`all_sent`).
    """

    def __init__(
        self,
        lifecycle: RunLifecycle,
        *,
        all_sent: bool = False,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lifecycle = lifecycle
        self._all_sent = all_sent
        self._clock = clock
        self._monotonic = monotonic
        self._observations: dict[str, _Observation] = {}

    def advance(self, run: RegisteredRun) -> tuple[PartitionStatus, ...]:
        """Checks a run's progress and promotes or fails it if due; raises StoreUnreachable, RunFault."""
        with self._lifecycle.blaming(run):
            return self._advance(run)

    def _advance(self, run: RegisteredRun) -> tuple[PartitionStatus, ...]:
        if run.state not in (RunState.ANNOUNCED, RunState.LOADING):
            self._observations.pop(run.name, None)
        if run.state is RunState.READY and run.status.held is None and run.status.let_go is None:
            self._lifecycle.promote_or_fail(run.name)
        partitions = self._lifecycle.store.progress(run.announcement)
        if run.state is RunState.LOADING:
            self._lifecycle.promote_or_fail(run.name)
        if fault := self._fault(run, partitions):
            self._fail_if_unchanged(run, fault)
        return partitions

    def forget(self) -> None:
        """Restarts the time without progress, after an outage."""
        self._observations.clear()

    def _fault(self, run: RegisteredRun, partitions: tuple[PartitionStatus, ...]) -> str | None:
        """Returns why a run under way has to fail, or None."""
        if run.state not in (RunState.ANNOUNCED, RunState.LOADING) or run.status.restoring:
            return None  # a run being restored still needs older records of the topic; `rebuild` ends it
        announced = run.announcement
        arrived = f"{sum(p.loaded for p in partitions)} of {announced.users} lists had arrived"
        if not damaged(partitions):
            arrived += f" and been verified, but not on {announced.replicas} replicas of each master"
        if (self._clock() - run.status.since).total_seconds() > announced.load_deadline_seconds:
            return f"deadline of {announced.load_deadline_seconds} s passed; {arrived}"
        still = self._seconds_still(run.name, partitions) if self._all_sent or run.state is RunState.LOADING else 0.0
        if still > announced.stall_seconds:
            return f"no progress for {announced.stall_seconds} s; {arrived}; are publisher and loader running?"
        return None

    def _seconds_still(self, run: str, partitions: tuple[PartitionStatus, ...]) -> float:
        now, last = self._monotonic(), self._observations.get(run)
        if last is None or last.partitions != partitions:
            self._observations[run] = last = _Observation(partitions, now)
        return now - last.at

    def _fail_if_unchanged(self, run: RegisteredRun, fault: str) -> None:
        """Fails the run unless its state changed meanwhile."""
        now = self._lifecycle.registry.get(run.name)
        if now.state is run.state:
            self._lifecycle.fail(run.name, fault)
