"""Decisions about a run as a whole: whether it may be loaded, has failed, or may serve."""

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
from publish.wire.announcement import Announcement, decode_fallback
from publish.wire.keys import Layout
from publish.wire.messages import End

_LOG = logging.getLogger(__name__)


class RunLifecycle:
    """Makes the decisions about every run, in each loader and in each `wait`; every call may be repeated."""

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
        """Raises StoreRefused if Redis was reconfigured so that it may evict keys."""
        check_store(self.store.client, self._declared)

    @contextmanager
    def blaming(self, run: RegisteredRun) -> Iterator[None]:
        """Turns errors caused by one run into RunFault, so that they stop nothing else.

        Errors of Redis and Kafka pass unchanged. An unforeseen error (e.g. an overflow or a missing index) also fails
        the run, because it would recur with every check.
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
        """Returns whether the run was announced for the topic's current `layout`; fails a run under way that was not.

        Its records would be counted at positions that the topic does not have.
        """
        announced = run.announcement
        if announced.tags == layout.tags:
            return True
        if run.state in (RunState.ANNOUNCED, RunState.LOADING):
            self.fail(
                run.name,
                f"announced for {announced.partitions} partitions, but the topic has {layout.partitions}; publish to a "
                "new product"
                if announced.partitions != layout.partitions
                else "announced with other hash tags than those of its partitions",
            )
        return False

    def admit(self, run: RegisteredRun) -> bool:
        """Returns whether the run may be loaded; fails one that does not fit into Redis before its first record."""
        if run.state is not RunState.ANNOUNCED:
            return not run.state.is_over
        if fault := self._misfit(run.announcement):
            self.fail(run.name, fault)
            return False
        self.registry.start_loading(run.name)
        return True

    def check_still_wanted(self, run: str) -> None:
        """Fences again a run that ended, and deletes again one that was cleared, while its BEGIN was under way."""
        found = self.registry.get(run)
        if found.state.is_over:
            self.registry.fence(run)
        if found.status.cleared is not None:
            self.store.delete(found.announcement)

    def fault_at_end(self, run: RegisteredRun, partition: int, end: End, pause: Callable[[], None]) -> str | None:
        """Returns why a partition must not serve now that its END has arrived, or None; raises StoreRefused."""
        from publish.store.verify import fault_of  # needs numpy, which only a loader waits for

        self.check_store()
        piece = run.announcement.slices[partition]
        if (end.count, end.digest) != (piece.count, piece.digest):
            return f"partition {partition}: END says {end.count} records ({end.digest}), announced were {piece.count}"
        if poison := self.store.poison(run.announcement, partition):
            return f"partition {partition}: {poison} unreadable records, see the dead letters; the budget is 0"
        return fault_of(self.store.client, run.announcement, partition, pause=pause)

    def fail(self, run: str, reason: str) -> None:
        """Sets the run to FAILED; the serving run continues to serve."""
        try:
            self.registry.fail(run, reason)
        except RunRefused as refused:
            _LOG.error("run %s: %s", run, refused)
        else:
            _LOG.error("run %s: FAILED: %s", run, reason)

    def promote_or_fail(self, run: str) -> Promotion | None:
        """Promotes a run if all its partitions are verified, fails it if one failed; returns None if neither."""
        found = self.registry.get(run)
        if found.state not in (RunState.LOADING, RunState.READY):
            return None
        partitions = self.store.progress(found.announcement)
        if found.state is RunState.LOADING:
            for status in partitions:
                if status.state == RunState.FAILED:
                    self.fail(run, status.reason if status.reason is not None else "a partition failed")
                    return None
            if fault := self.promoter.control_fault(found.announcement):
                self.fail(run, fault)
                return None
        if damaged(partitions) or self._has_damaged_control(found.announcement):
            return None  # still loading, or lost with a master since the run became READY
        if found.state is RunState.LOADING:
            if why := missing_copies(self.store.client, found.announcement):
                _LOG.warning("run %s is complete and postponed until replicas have it: %s", run, why)
                return None
            if damaged_partitions(self.store, found.announcement):  # a fail-over during the replica check
                return None
            if self.registry.ready(run):
                _LOG.info("run %s: READY, %d lists in %d partitions", run, found.announcement.users, len(partitions))
        return self._promote(run)

    def _has_damaged_control(self, run: Announcement) -> bool:
        """Returns whether the run's control was READY, and Redis lost lists of it since."""
        if run.control is None:
            return False
        try:
            control = self.registry.find(run.control)
        except MalformedMessage:  # fails the run, when it is promoted
            return False
        is_ready = control is not None and control.state is RunState.READY
        return control is not None and is_ready and bool(damaged_partitions(self.store, control.announcement))

    def _promote(self, run: str) -> Promotion:
        before = self.registry.get(run).status
        promotion = self.promoter.promote_if_ready(run)
        if before.held is None and promotion.result in (PromotionResult.HELD, PromotionResult.FAILED):
            _LOG.warning("run %s: %s: %s", run, promotion.result, promotion.reason)
        return promotion

    def _misfit(self, run: Announcement) -> str | None:
        from publish.wire.codec import decode  # needs protobuf, which only a loader waits for

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
