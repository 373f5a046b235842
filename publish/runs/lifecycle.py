"""Decisions about a run as a whole: may it be loaded, has it failed, may it serve."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from publish.errors import MalformedMessage, PointerMoved, RunFault, RunRefused, StoreRefused, UnknownRun
from publish.runs.housekeeping import Housekeeping
from publish.runs.promotion import Promoter, Promotion, PromotionResult
from publish.runs.run import RegisteredRun, RunState
from publish.store.capacity import NOTHING_DECLARED, DeclaredLimits, check_store, shortage, warn_of_wide_values
from publish.store.durability import damaged, damaged_partitions, missing_copies
from publish.store.redis_store import RedisStore
from publish.store.verify import fault_of
from publish.wire.announcement import Announcement, decode_fallback
from publish.wire.codec import decode
from publish.wire.keys import Layout
from publish.wire.messages import End

_LOG = logging.getLogger(__name__)


class RunLifecycle:
    """Decides about every run, in each loader and in whoever waits; all of it may be repeated."""

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

    @contextmanager
    def blaming(self, run: RegisteredRun) -> Iterator[None]:
        """Keeps what one run is to blame for from ending or blocking anything else: raises RunFault.

        Faults of Redis and Kafka are no run's, and pass. What no rule foresaw (numbers that overflow, places that are
        not there) ends the run, because it would come again with the next look.
        """
        try:
            yield
        except (MalformedMessage, RunRefused, UnknownRun, PointerMoved) as fault:
            raise RunFault(f"run {run.name}: {fault}") from None
        except (ArithmeticError, LookupError, ValueError) as fault:
            _LOG.exception("run %s cannot be dealt with", run.name)
            what = f"what was announced of it cannot be dealt with ({type(fault).__name__}: {fault})"
            self.fail(run.name, what)
            raise RunFault(f"run {run.name}: {what}") from None

    def belongs(self, run: RegisteredRun, layout: Layout) -> bool:
        """Return whether the run was announced for the topic as it is, which has this layout; one on its way is FAILED
        if not.

        Its records would be counted at other positions than the topic's.
        """
        said = run.announcement
        if said.tags == layout.tags:
            return True
        if run.state in (RunState.ANNOUNCED, RunState.LOADING):
            self.fail(
                run.name,
                f"announced for {said.partitions} partitions, but the topic has {layout.partitions}; publish to a "
                "new product"
                if said.partitions != layout.partitions
                else "announced with other hash tags than those of its partitions",
            )
        return False

    def admit(self, run: RegisteredRun) -> bool:
        """Return whether the run may be loaded; before its first record it must fit into Redis, or it is FAILED."""
        if run.state is not RunState.ANNOUNCED:
            return not run.state.is_over
        if fault := self._misfit(run.announcement):
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

    def fault_at_end(self, run: RegisteredRun, partition: int, end: End, pause: Callable[[], None]) -> str | None:
        """Return why a partition must not serve now that its END is here, or None; raises StoreRefused."""
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
        if before.held is None and promotion.result in (PromotionResult.HELD, PromotionResult.FAILED):
            _LOG.warning("run %s: %s: %s", run, promotion.result, promotion.reason)
        return promotion

    def _misfit(self, run: Announcement) -> str | None:
        try:
            decode(decode_fallback(run.fallback), run.ids)
            limits = check_store(self.store.client, self._declared)
            if shortage(run, limits) and self._housekeeping.retire_unneeded():
                limits = check_store(self.store.client, self._declared)
        except MalformedMessage as fault:
            return f"its fallback list cannot be read: {fault}"
        except StoreRefused as refused:
            return str(refused)
        warn_of_wide_values(run, limits)
        return shortage(run, limits)
