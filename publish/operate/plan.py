"""Estimates the cost of a push before anything runs: records, bytes on the topic, Redis memory, seconds to load."""

from dataclasses import dataclass

from conf.base import format_bytes
from conf.settings import PublishSettings
from conf.share import NOBODY, Share
from publish.runs.run import RegisteredRun
from publish.store.capacity import MEMORY_SHARE, SAFETY, StoreLimits, estimate_lists
from publish.store.redis_store import PartitionStatus
from publish.wire.keys import Layout
from publish.wire.messages import ENVELOPE_BYTES

TYPICAL_RATE = 100_000.0
"""Lists per second of one loader, if no run of this product was measured yet (`python -m benchmarks.publish`)."""
_KAFKA_RECORD_BYTES = 12
"""Approximate lengths, deltas and header count of a record in a batch (Kafka's record format v2)."""
_RUNS_AT_PEAK = 3
"""The serving run, the previous one, and the one being loaded."""
_HOURS_OF_A_WEEK = 168


@dataclass(frozen=True)
class PlannedLists:
    """Number and size of the lists to publish."""

    records: int
    record_bytes: float
    """Mean bytes of key and payload of one list."""
    basis: str
    """Source of these numbers, as text."""


@dataclass(frozen=True)
class Rate:
    """Lists per second from the topic into Redis, and the source of that number."""

    lists_per_second: float
    basis: str


@dataclass(frozen=True)
class PushPlan:
    """Estimated cost of one push; sizes in bytes."""

    lists: PlannedLists
    topic_bytes: int
    """One push on the topic, with all replicas."""
    topic_bytes_with_retry: int
    """A push sent twice, as a retry may do."""
    topic_bytes_kept: int
    """All weekly pushes within the retention, one of them sent twice."""
    run_bytes: int
    """Redis memory of this run."""
    steady_peak: int
    """Redis memory in weekly operation: serving run, previous run, and the one being loaded."""
    needed_now: int
    """Redis memory that must be free at BEGIN: the run, with the safety factor."""
    limits: StoreLimits | None
    """The store's current limits; None if it was not asked."""
    clearable: int
    """Redis memory of unneeded runs, which BEGIN clears if necessary."""
    rate: Rate
    topic_fault: str | None = None
    """Why publishing would refuse the existing topics; None if it would not, or if they were not checked."""
    control: PlannedLists | None = None
    """Lists of the control that is published before it and counted in all sizes; None without one."""

    @property
    def seconds_to_load(self) -> float:
        """Seconds from the first record to the last verified one."""
        records = self.lists.records + (0 if self.control is None else self.control.records)
        return records / self.rate.lists_per_second

    @property
    def misfit(self) -> str | None:
        """Why BEGIN would refuse the run, or why the store would be full later; None if it fits."""
        if self.topic_fault is not None:
            return self.topic_fault
        if self.limits is None:
            return None
        if self.limits.fault is not None:
            return self.limits.fault
        room = self.limits.room + self.clearable
        if self.needed_now > room:
            return (
                f"it needs {format_bytes(self.needed_now)} of Redis at BEGIN, and {format_bytes(max(0, room))} may be "
                f"filled (used {format_bytes(self.limits.used)}, {MEMORY_SHARE:.0%} of maxmemory "
                f"{format_bytes(self.limits.maxmemory)}): give Redis more memory, shorten the lists, or lower the share"
            )
        if self.steady_peak > self.limits.capacity:
            return (
                f"this push fits, but {_RUNS_AT_PEAK} such runs (serving, to roll back to, loading) need "
                f"{format_bytes(self.steady_peak)}, more than {MEMORY_SHARE:.0%} of maxmemory "
                f"{format_bytes(self.limits.maxmemory)}: give Redis more memory before the third week"
            )
        return None


def plan(
    product: str,
    lists: PlannedLists,
    settings: PublishSettings,
    rate: Rate,
    *,
    limits: StoreLimits | None = None,
    clearable: int = 0,
    topic_fault: str | None = None,
    control: PlannedLists | None = None,
) -> PushPlan:
    """Returns the estimated cost of a push of these lists, and of those of its control if it has one."""
    runs = [lists] if control is None else [lists, control]
    sent = sum(_topic_bytes(run) for run in runs) * settings.replication
    run_bytes = sum(_memory(product, run, settings) for run in runs)
    kept = settings.retention_hours // _HOURS_OF_A_WEEK + 1
    return PushPlan(
        lists=lists,
        topic_bytes=sent,
        topic_bytes_with_retry=2 * sent,
        topic_bytes_kept=(kept + 1) * sent,
        run_bytes=run_bytes,
        steady_peak=int((_RUNS_AT_PEAK - 1 + SAFETY) * run_bytes),
        needed_now=int(SAFETY * run_bytes),
        limits=limits,
        clearable=clearable,
        rate=rate,
        topic_fault=topic_fault,
        control=control,
    )


def _topic_bytes(lists: PlannedLists) -> int:
    return int(lists.records * (lists.record_bytes + ENVELOPE_BYTES + _KAFKA_RECORD_BYTES))


def _memory(product: str, lists: PlannedLists, settings: PublishSettings) -> int:
    layout = Layout.plan(product, settings.partitions, lists.records, settings.users_per_bucket)
    return estimate_lists(lists.records, int(lists.records * lists.record_bytes), layout)


def lists_like(run: RegisteredRun, share: Share) -> PlannedLists:
    """Returns lists like those of `run`, scaled to another share of the audience."""
    announced = run.announcement
    covered = announced.share_bp
    records = announced.users if covered == NOBODY else announced.users * int(share) // int(covered)
    mean = announced.total_bytes / max(1, announced.users)
    return PlannedLists(records, mean, f"as run {announced.run} of {announced.as_of}, which covers {covered}")


def loading_rate(partitions: tuple[PartitionStatus, ...]) -> float | None:
    """Returns lists per second since a run's first BEGIN; None if nothing was loaded yet."""
    since = [part.since for part in partitions if part.since is not None]
    touched = [part.touched for part in partitions if part.touched is not None]
    loaded = sum(part.loaded for part in partitions)
    if not since or not touched or loaded == 0:
        return None
    seconds = (max(touched) - min(since)).total_seconds()
    return loaded / seconds if seconds > 0 else None
