"""Decisions about a run as a whole: may it be loaded, has it failed, may it serve."""

import logging
from collections.abc import Callable

from publish.errors import RunRefused, StoreRefused
from publish.runs.housekeeping import Housekeeping
from publish.runs.promotion import Promoter, Promotion, Verdict
from publish.runs.run import Run, RunState
from publish.store.capacity import NOTHING_DECLARED, DeclaredLimits, check_store, shortage, warn_of_wide_values
from publish.store.durability import damaged, damaged_partitions, missing_copies
from publish.store.redis_store import RedisStore
from publish.store.verify import fault_of
from publish.wire.announcement import Announcement
from publish.wire.messages import End

_LOG = logging.getLogger(__name__)


class RunDesk:
    """The desk over which every run goes, in each loader and in whoever waits; all of it may be repeated."""

    def __init__(
        self,
        store: RedisStore,
        promoter: Promoter,
        housekeeping: Housekeeping,
        *,
        declared: DeclaredLimits = NOTHING_DECLARED,
    ) -> None:
        self.store = store
        self.promoter = promoter
        self.registry = promoter.registry
        self._housekeeping = housekeeping
        self._declared = declared

    def check_store(self) -> None:
        """Refuse a Redis that was told meanwhile to throw lists away when full; raises StoreRefused."""
        check_store(self.store.client, self._declared)

    def admit(self, run: Run, partitions: int) -> bool:
        """Whether the run may be loaded; before its first record it must fit into Redis, or it is FAILED."""
        if run.state is not RunState.ANNOUNCED:
            return not run.state.is_over
        if fault := self._misfit(run.announcement, partitions):
            self.fail(run.name, fault)
            return False
        self.registry.start_loading(run.name)
        return True

    def check_still_wanted(self, run: str) -> None:
        """After BEGIN: fence again what was failed, delete again what was cleared, while BEGIN was on its way."""
        found = self.registry.get(run)
        if found.state.is_over:
            self.registry.fence(run)
        if found.status.cleared is not None:
            self.store.delete(found.announcement)

    def fault_at_end(self, run: Run, partition: int, end: End, pause: Callable[[], None]) -> str | None:
        """Why a partition must not serve now that its END is here, or None; raises StoreRefused."""
        self.check_store()
        piece = run.announcement.slices[partition]
        if (end.count, end.digest) != (piece.count, piece.digest):
            return f"partition {partition}: END says {end.count} records ({end.digest}), announced were {piece.count}"
        if poison := self.store.poison(run.announcement, partition):
            return f"partition {partition}: {poison} unreadable records, see the dead letters; the budget is 0"
        return fault_of(self.store.client, run.announcement, partition, pause=pause)

    def fail(self, run: str, reason: str) -> None:
        """End the run; what serves goes on serving."""
        try:
            self.registry.fail(run, reason)
        except RunRefused as refused:
            _LOG.error("run %s: %s", run, refused)
        else:
            _LOG.error("run %s: FAILED: %s", run, reason)

    def settle(self, run: str) -> Promotion | None:
        """Promote a run whose partitions are all verified, fail one with a failed partition; None: not yet."""
        found = self.registry.get(run)
        if found.state not in (RunState.LOADING, RunState.READY):
            return None
        partitions = self.store.progress(found.announcement)
        if found.state is RunState.LOADING:
            for status in partitions:
                if status.state == RunState.FAILED:
                    self.fail(run, status.reason if status.reason is not None else "a partition failed")
                    return None
        if damaged(partitions):  # on their way, or lost with a master since the run became READY
            return None
        if found.state is RunState.LOADING:
            if why := missing_copies(self.store.client, found.announcement):
                _LOG.warning("run %s is complete and waits for replicas: %s", run, why)
                return None
            if damaged_partitions(self.store, found.announcement):  # a fail-over while the replicas were asked
                return None
            if self.registry.ready(run):
                _LOG.info("run %s: READY, %d lists in %d partitions", run, found.announcement.users, len(partitions))
        return self._promote(run)

    def _promote(self, run: str) -> Promotion:
        before = self.registry.get(run).status
        promotion = self.promoter.promote_if_ready(run)
        if before.held is None and promotion.verdict in (Verdict.HELD, Verdict.FAILED):
            _LOG.warning("run %s: %s: %s", run, promotion.verdict, promotion.reason)
        return promotion

    def _misfit(self, run: Announcement, partitions: int) -> str | None:
        if run.partitions != partitions:
            return (
                f"announced for {run.partitions} partitions, but the topic has {partitions}; publish to a new product"
            )
        try:
            limits = check_store(self.store.client, self._declared)
            if shortage(run, limits) and self._housekeeping.retire_unneeded():
                limits = check_store(self.store.client, self._declared)
        except StoreRefused as refused:
            return str(refused)
        warn_of_wide_values(run, limits)
        return shortage(run, limits)
