"""An operator's questions and commands; replies are typed values, refusals are errors that say what to do."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from conf.share import NOBODY, Share
from publish.clock import Clock, utc_now
from publish.connect.redis_clients import StoreClient
from publish.errors import RunRefused
from publish.runs.history import read_history
from publish.runs.housekeeping import Housekeeping
from publish.runs.lifecycle import RunLifecycle
from publish.runs.pointer import Pointer, PointerStore
from publish.runs.pointer_log import PointerLog
from publish.runs.promotion import BY_HAND, Promoter
from publish.runs.registry import RunRegistry
from publish.runs.run import RegisteredRun, RegistryContent, RunState, UnreadableRun
from publish.store.capacity import NOTHING_DECLARED, DeclaredLimits, StoreLimits, estimate_bytes, read_limits
from publish.store.durability import damaged, damaged_partitions
from publish.store.redis_store import PartitionStatus, RedisStore


@dataclass(frozen=True)
class RunReport:
    """Summary of one run."""

    run: RegisteredRun
    serves_as: str | None
    """Its role in the pointer: treatment, control, previous or previous_control; None if it has none."""
    partitions: tuple[PartitionStatus, ...]
    """Loading progress of each partition; empty for a run that is over."""
    estimated_bytes: int
    """Estimated memory of its lists in Redis."""


@dataclass(frozen=True)
class StatusReport:
    """Summary of a product."""

    pointer: Pointer
    serving: RegisteredRun | None
    on_the_way: tuple[RunReport, ...]
    waiting: tuple[RunReport, ...]
    """READY runs, newer than the serving one: held, or postponed."""
    damaged: tuple[int, ...]
    """Partitions of the serving runs that are no longer VERIFIED, because Redis lost writes."""
    unreadable: tuple[UnreadableRun, ...]
    """Records of the registry that this version cannot read."""
    restoring: bool
    """True while a rebuild is running; nothing serves until it is done."""
    unsent: int
    """Number of pointer changes that Kafka may not have yet."""
    limits: StoreLimits
    dead_letters: int
    """Records dead-lettered so far."""
    runs: tuple[RunReport, ...] = ()
    """Every run that can be read, oldest first."""


@dataclass(frozen=True)
class ShareReport:
    """The served share, the requested one, and the one that the serving run covers."""

    pointer: Pointer
    served: Share
    asked: Share
    covered: Share
    """The share of the serving run."""


class Control:
    """An operator's questions and commands about one product; every method may raise StoreUnreachable."""

    def __init__(
        self,
        registry: RunRegistry,
        pointers: PointerStore,
        store: RedisStore,
        housekeeping: Housekeeping,
        *,
        declared: DeclaredLimits = NOTHING_DECLARED,
    ) -> None:
        self.registry = registry
        self.pointers = pointers
        self.housekeeping = housekeeping
        self.promoter = Promoter(registry, pointers)
        self.lifecycle = RunLifecycle(store, self.promoter, housekeeping, declared=declared)
        self._store = store
        self._declared = declared

    @classmethod
    def connect(
        cls,
        client: StoreClient,
        product: str,
        *,
        log: PointerLog | None = None,
        who: str | None = None,
        declared: DeclaredLimits = NOTHING_DECLARED,
        clock: Clock = utc_now,
    ) -> Self:
        """Returns the control of a product for `who`, by default the user of this process.

        `log` keeps each pointer and its history outside Redis (publish.connect.confirmed_sender.KafkaPointerLog).
        """
        registry = RunRegistry(client, product, clock=clock)
        pointers = PointerStore(client, product, log=log, who=who, clock=clock)
        store = RedisStore(client, clock=clock)
        return cls(registry, pointers, store, Housekeeping(registry, pointers, store, clock=clock), declared=declared)

    def runs(self) -> tuple[RunReport, ...]:
        """Returns every run that can be read, oldest first."""
        return self._reports(self.pointers.read(), self.registry.read_all())

    def unreadable(self) -> tuple[UnreadableRun, ...]:
        """Returns the records of the registry that this version cannot read."""
        return self.registry.read_all().unreadable

    def status(self) -> StatusReport:
        """Returns the serving run, runs under way, waiting runs, memory and dead letters."""
        pointer, register = self.pointers.read(), self.registry.read_all()
        reports = self._reports(pointer, register)
        serving = next((report.run for report in reports if report.run.name == pointer.treatment), None)
        epoch = serving.announcement.epoch if serving is not None else 0
        ready = [report for report in reports if report.run.state is RunState.READY]
        layout = reports[-1].run.announcement.layout if reports else None
        return StatusReport(
            pointer=pointer,
            serving=serving,
            on_the_way=tuple(r for r in reports if r.run.state in (RunState.ANNOUNCED, RunState.LOADING)),
            waiting=tuple(r for r in ready if r.run.announcement.epoch > epoch),
            damaged=tuple(sorted({place for r in reports if _serves(r) for place in damaged(r.partitions)})),
            unreadable=register.unreadable,
            restoring=self.pointers.restoring() is not None,
            unsent=len(self.pointers.unsent.entries()),
            limits=read_limits(self._store.client, self._declared),
            dead_letters=0 if layout is None else self._store.dead_letters(layout),
            runs=reports,
        )

    def served_since(self, moment: datetime) -> set[str]:
        """Returns the runs that the treatment got at that time or later, by the history that Redis keeps."""
        entries = read_history(self._store.client, self.pointers.keys.product, None).since(moment).entries
        return {entry.pointer.treatment for entry in entries if entry.pointer.treatment is not None}

    def promote(self, run: str, *, reason: str = BY_HAND) -> Pointer:
        """Promotes a READY run; raises UnknownRun, RunHeld, RunRefused."""
        self._refuse_damaged(run)
        return self.promoter.promote(run, reason=reason)

    def rollback(self, to: str | None = None, *, reason: str) -> Pointer:
        """Serves the previous run, or `to`, and sets a hold; raises UnknownRun, RunRefused."""
        target = to if to is not None else self.pointers.read().previous
        if target is not None:
            self._refuse_damaged(target)
        return self.promoter.rollback(to, reason=reason)

    def hold(self, reason: str) -> Pointer:
        """Stops automatic promotion."""
        return self.promoter.hold(reason)

    def unhold(self, *, reason: str = BY_HAND) -> Pointer:
        """Lifts the hold; promotes nothing."""
        return self.promoter.unhold(reason=reason)

    def share(self, asked: Share, *, reason: str = BY_HAND) -> ShareReport:
        """Limits the served share, also for later runs; never exceeds the share that the run covers."""
        pointer = self.promoter.cap_share(asked, reason=reason)
        covered = NOBODY
        if pointer.treatment is not None:
            announced = self.registry.find_announcement(pointer.treatment)
            covered = NOBODY if announced is None else announced.share_bp
        return ShareReport(pointer, pointer.share_bp, asked, covered)

    def verify(self, run: str) -> tuple[str, ...]:
        """Reads a run, and its control if it has one, back from Redis; returns the fault of each damaged partition.

        Raises UnknownRun, RunRefused.
        """
        from publish.store.verify import fault_of  # needs numpy and protobuf, which no other command waits for

        found = self.registry.get(run)
        if found.status.cleared is not None:
            raise RunRefused(f"run {run} was cleared at {found.status.cleared:%F %T}Z: there is nothing to verify")
        if found.state in (RunState.ANNOUNCED, RunState.LOADING):
            raise RunRefused(f"run {run} is still on its way ({found.state}); `discovery wait {run}`, then verify it")
        announced = found.announcement
        faults = (fault_of(self._store.client, announced, partition) for partition in range(announced.partitions))
        own = tuple(fault for fault in faults if fault is not None)
        if announced.control is None:
            return own
        return (*own, *(f"its control, run {announced.control}: {fault}" for fault in self.verify(announced.control)))

    def clear(self, run: str) -> None:
        """Deletes the lists of a run that is not needed; raises UnknownRun, RunRefused."""
        self.housekeeping.clear(run)

    def retire_unneeded(self, *, keep: int = 0) -> tuple[str, ...]:
        """Clears all unneeded runs but the `keep` newest READY ones; returns the names of the cleared runs."""
        return self.housekeeping.retire_unneeded(keep=keep)

    def _refuse_damaged(self, run: str) -> None:
        found = self.registry.get(run)
        if found.announcement.control is not None and self.promoter.control_fault(found.announcement) is None:
            self._refuse_damaged(found.announcement.control)
        if found.state is RunState.READY and (places := damaged_partitions(self._store, found.announcement)):
            raise RunRefused(
                f"run {run} is not whole: Redis lost writes of partitions {', '.join(map(str, places))}; a running "
                "loader (discovery load) loads them again; to stop serving at once: discovery share 0"
            )

    def _reports(self, pointer: Pointer, register: RegistryContent) -> tuple[RunReport, ...]:
        return tuple(self._report(run, pointer) for run in register.runs)

    def _report(self, run: RegisteredRun, pointer: Pointer) -> RunReport:
        role = next((role for role, name in pointer.named.items() if name == run.name), None)
        partitions = () if run.state.is_over else self._store.progress(run.announcement)
        return RunReport(run, role, partitions, estimate_bytes(run.announcement))


def _serves(report: RunReport) -> bool:
    return report.serves_as in ("treatment", "control")
