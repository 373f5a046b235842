"""Clears runs that are not needed: marks them in the registry, then deletes; safe to interrupt and repeat."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from publish.clock import Clock, utc_now
from publish.errors import MalformedMessage, RunRefused, UnknownRun
from publish.runs.pointer import Pointer, PointerStore
from publish.runs.registry import RunRegistry
from publish.runs.run import RegisteredRun, RunState
from publish.store.redis_store import RedisStore

_LOG = logging.getLogger(__name__)

GRACE = timedelta(hours=1)
"""Time that a run is kept after the pointer stopped naming it, since readers may still have the old pointer."""
KEEP_ROLLED_BACK = timedelta(hours=24)
"""Time that a rolled-back run is kept for inspection."""


class Housekeeping:
    """Clears runs of one product."""

    def __init__(
        self,
        registry: RunRegistry,
        pointers: PointerStore,
        store: RedisStore,
        *,
        clock: Clock = utc_now,
        grace: timedelta = GRACE,
    ) -> None:
        self._registry = registry
        self._pointers = pointers
        self._store = store
        self._clock = clock
        self._grace = grace

    def clear(self, run: str) -> None:
        """Deletes the lists of a run; raises RunRefused if it is needed or still being loaded.

        Raises UnknownRun and MalformedMessage if its record is missing or cannot be read.
        """
        found = self._registry.get(run)
        if waiting := self._on_its_way_with(run):
            raise RunRefused(f"run {run} is the control of run {waiting}, which may serve yet")
        if found.status.let_go is not None and self._clock() - found.status.let_go < self._grace:
            raise RunRefused(
                f"run {run}: readers may still hold a pointer to it; it can be cleared "
                f"{self._grace.total_seconds() / 60:g} min after {found.status.let_go:%F %T}Z"
            )
        if found.state is RunState.FAILED:
            self._registry.fence(run)
        else:
            self._registry.retire(run, "cleared")
        self._store.delete(found.announcement)
        self._registry.mark_cleared(run)
        _LOG.info("run %s: cleared", run)

    def unneeded(self, *, coming: int = 0) -> tuple[RegisteredRun, ...]:
        """Returns the runs that are not needed and still have lists, oldest first.

        coming: the epoch of a control that is about to be announced, with which older ones are needed no more.
        """
        pointer, now, runs = self._pointers.read(), self._clock(), self._registry.list_runs()
        serving = _serving_epoch(runs, pointer)
        orphans, wanted = _orphans(runs, serving, coming), _wanted(runs, serving)
        return tuple(
            run
            for run in runs
            if run.name not in wanted and (run.name in orphans or self._is_unneeded(run, pointer, serving, now))
        )

    def retire_unneeded(self, *, keep: int = 0) -> tuple[str, ...]:
        """Clears all unneeded runs but the `keep` newest READY ones; returns the names of the cleared runs."""
        spare = self.unneeded()
        could_serve = [run.announcement for run in spare if run.state is RunState.READY]
        newest = [run for run in could_serve if run.role == "treatment"][-keep:] if keep else []
        kept = {run.run for run in newest} | {run.control for run in newest}
        return tuple(run.name for run in spare if run.name not in kept and self._cleared(run.name))

    def _cleared(self, run: str) -> bool:
        try:
            self.clear(run)
        except (RunRefused, UnknownRun, MalformedMessage) as refused:  # changed just now: needed, gone or damaged
            _LOG.info("run %s stays: %s", run, refused)
            return False
        return True

    def _on_its_way_with(self, control: str) -> str | None:
        """Returns the run that may serve yet and has this one as its control; None if there is none."""
        runs = self._registry.list_runs()
        return _wanted(runs, _serving_epoch(runs, self._pointers.read())).get(control)

    def _is_unneeded(self, run: RegisteredRun, pointer: Pointer, serving_epoch: int, now: datetime) -> bool:
        status = run.status
        if status.cleared is not None or run.name in pointer.named.values():
            return False
        if status.let_go is not None and now - status.let_go < self._grace:
            return False
        match status.state:
            case RunState.FAILED | RunState.RETIRED:
                return True
            case RunState.ROLLED_BACK:
                return now - status.since >= KEEP_ROLLED_BACK
            case RunState.READY:
                return run.announcement.epoch < serving_epoch
            case _:
                return False


def _serving_epoch(runs: Sequence[RegisteredRun], pointer: Pointer) -> int:
    return max((run.announcement.epoch for run in runs if run.name == pointer.treatment), default=0)


def _wanted(runs: Sequence[RegisteredRun], serving_epoch: int) -> dict[str, str]:
    """Returns control → its treatment, for treatments that may serve yet."""
    return {
        run.announcement.control: run.name
        for run in runs
        if run.announcement.control is not None and not run.state.is_over and run.announcement.epoch > serving_epoch
    }


def _orphans(runs: Sequence[RegisteredRun], serving_epoch: int, coming: int) -> set[str]:
    """Returns complete controls, newer than what serves, whose treatment will never serve.

    It is over; or it was not announced, and a newer control was: another start has begun.
    """
    over = {run.announcement.control for run in runs if run.state.is_over}
    named = {run.announcement.control for run in runs}
    newest = max([coming, *(run.announcement.epoch for run in runs if run.announcement.role == "control")])
    return {
        run.name
        for run in runs
        if run.announcement.role == "control"
        and (run.name in over or (run.name not in named and run.announcement.epoch < newest))
        and run.state is RunState.READY
        and run.announcement.epoch > serving_epoch
        and run.status.cleared is None
        and run.status.let_go is None
    }
