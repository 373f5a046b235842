"""Clears runs that are not needed: marks them in the registry, then deletes; safe to interrupt and repeat."""

import logging
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

    def unneeded(self) -> tuple[RegisteredRun, ...]:
        """Returns the runs that are not needed and still have lists, oldest first."""
        pointer, now, runs = self._pointers.read(), self._clock(), self._registry.list_runs()
        serving = max((run.announcement.epoch for run in runs if run.name == pointer.treatment), default=0)
        return tuple(run for run in runs if self._is_unneeded(run, pointer, serving, now))

    def retire_unneeded(self, *, keep: int = 0) -> tuple[str, ...]:
        """Clears all unneeded runs but the `keep` newest READY ones; returns the names of the cleared runs."""
        spare = self.unneeded()
        could_serve = [run.name for run in spare if run.state is RunState.READY]
        kept = set(could_serve[len(could_serve) - keep :]) if keep else set()
        return tuple(run.name for run in spare if run.name not in kept and self._cleared(run.name))

    def _cleared(self, run: str) -> bool:
        try:
            self.clear(run)
        except (RunRefused, UnknownRun, MalformedMessage) as refused:  # changed just now: needed, gone or damaged
            _LOG.info("run %s stays: %s", run, refused)
            return False
        return True

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
