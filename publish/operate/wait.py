"""Waits until a run serves, or certainly will not."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from publish.errors import StoreUnreachable
from publish.runs.lifecycle import RunLifecycle
from publish.runs.pointer import PointerStore
from publish.runs.run import RegisteredRun, RunState
from publish.runs.run_watch import RunWatch
from publish.store.redis_store import PartitionStatus

_LOOK_SECONDS = 0.25


class RunEnding(Enum):
    """The end of a run; the value is the exit code of `discovery wait`."""

    SERVING = 0
    """A control that is complete, too: its treatment takes it along."""
    HELD = 3
    FAILED = 4
    DEADLINE = 5


@dataclass(frozen=True)
class Waited:
    """The end of a run, and the reason unless it serves."""

    ending: RunEnding
    reason: str = ""


@dataclass(frozen=True)
class LoadProgress:
    """Loading progress of a run: lists so far, lists in total, lists per second."""

    run: str
    state: RunState
    partitions: tuple[PartitionStatus, ...]
    loaded: int
    total: int
    rate: float
    seconds: float


def wait(
    run: str,
    lifecycle: RunLifecycle,
    pointers: PointerStore,
    *,
    deadline: float | None = None,
    progress: Callable[[LoadProgress], None] = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> Waited:
    """Watches a completely sent run until it serves, is held, fails, or `deadline` seconds have passed.

    Does what a dead loader left undone: promotes a run whose partitions are all verified, and fails one that makes no
    progress or passes its own deadline (`load_deadline_seconds`). `deadline` only limits this call and leaves the run
    as it is; None waits for the run's own. Raises UnknownRun; StoreUnreachable if Redis is away at the deadline.
    """
    watch = RunWatch(lifecycle, all_sent=True, monotonic=monotonic)
    meter = _Meter(monotonic)
    while True:
        try:
            found = lifecycle.registry.get(run)
            ended = _ended(found, pointers)
            if ended is not None:
                return ended
            progress(meter.read(found, watch.advance(found)))
        except StoreUnreachable:
            watch.forget()
            if deadline is not None and meter.seconds > deadline:
                raise
        if deadline is not None and meter.seconds > deadline:
            return Waited(RunEnding.DEADLINE, f"run {run} neither served nor failed within {deadline:g} s")
        sleep(_LOOK_SECONDS)


def _ended(run: RegisteredRun, pointers: PointerStore) -> Waited | None:
    pointer = pointers.read()
    if run.name in (pointer.treatment, pointer.control):
        return Waited(RunEnding.SERVING)
    why = run.status.reason if run.status.reason is not None else ""
    if run.state is RunState.FAILED:
        return Waited(RunEnding.DEADLINE if why.startswith("deadline") else RunEnding.FAILED, why)
    if run.state.is_over:
        return Waited(RunEnding.FAILED, f"run {run.name} is {run.state}: {why}")
    if run.status.let_go is not None or run.name in (pointer.previous, pointer.previous_control):
        return Waited(RunEnding.FAILED, f"run {run.name} served before; now {pointer.treatment} does")
    if run.state is RunState.READY and run.announcement.role == "control":
        return Waited(RunEnding.SERVING, "it is complete, and serves the control arm as soon as its treatment serves")
    if run.state is RunState.READY and run.status.held is not None:
        return Waited(RunEnding.HELD, run.status.held)
    return None


class _Meter:
    """Computes progress and rate from what a watcher sees."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._start = monotonic()
        self._first: int | None = None

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return self._monotonic() - self._start

    def read(self, run: RegisteredRun, partitions: tuple[PartitionStatus, ...]) -> LoadProgress:
        """Returns the current progress; the rate is the mean since the first call."""
        loaded, seconds = sum(part.loaded for part in partitions), self.seconds
        if self._first is None:
            self._first = loaded
        rate = (loaded - self._first) / seconds if seconds > 0 else 0.0
        return LoadProgress(run.name, run.state, partitions, loaded, run.announcement.users, rate, seconds)
