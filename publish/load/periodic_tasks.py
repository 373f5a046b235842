"""Periodic tasks of a loader between records: runs under way, metrics, progress in the log, housekeeping."""

import logging
import time
from collections.abc import Callable, Mapping

from confluent_kafka import Consumer, TopicPartition

from publish.errors import RunFault
from publish.load.load_partition import PartitionLoader
from publish.load.loader_metrics import LoaderMetrics
from publish.load.run_cache import RunCache
from publish.runs.housekeeping import Housekeeping
from publish.runs.lifecycle import RunLifecycle
from publish.runs.pointer import PointerStore
from publish.runs.run import RegisteredRun, RunState, UnreadableRun
from publish.runs.run_watch import RunWatch
from publish.store.durability import damaged
from publish.store.redis_store import PartitionStatus

_LOG = logging.getLogger(__name__)

_WATCH_SECONDS, _KEEP_SECONDS, _LOG_SECONDS, _TIDY_SECONDS = 1.0, 5.0, 5.0, 60.0


class _Every:
    """A timer that is due once in so many seconds."""

    def __init__(self, seconds: float, monotonic: Callable[[], float]) -> None:
        self._seconds = seconds
        self._monotonic = monotonic
        self._next = monotonic()

    def is_due(self) -> bool:
        if self._monotonic() < self._next:
            return False
        self._next = self._monotonic() + self._seconds
        return True


class PeriodicTasks:
    """The periodic tasks of one loader; `run_due` does those that are due. Several loaders may do so at once."""

    def __init__(
        self,
        run_cache: RunCache,
        lifecycle: RunLifecycle,
        pointers: PointerStore,
        housekeeping: Housekeeping,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run_cache = run_cache
        self._lifecycle = lifecycle
        self._watch = RunWatch(lifecycle, monotonic=monotonic)
        self._pointers = pointers
        self._housekeeping = housekeeping
        self._lost: dict[str, frozenset[int]] = {}
        self._unreadable: frozenset[UnreadableRun] = frozenset()
        self._watching = _Every(_WATCH_SECONDS, monotonic)
        self._keeping = _Every(_KEEP_SECONDS, monotonic)
        self._logging = _Every(_LOG_SECONDS, monotonic)
        self._tidying = _Every(_TIDY_SECONDS, monotonic)

    def keep_pointer(self) -> None:
        """Writes the pointer to Kafka if due; raises StoreUnreachable."""
        if self._keeping.is_due():
            self._pointers.write_down_if_new()

    def run_due(self, consumer: Consumer, partitions: Mapping[int, PartitionLoader], metrics: LoaderMetrics) -> None:
        """Does the tasks that are due; raises StoreUnreachable and StoreRefused."""
        log_progress = self._logging.is_due()
        if self._watching.is_due():
            self._run_cache.refresh()
            for loader in partitions.values():
                loader.check_position()
            self._log_unreadable()
            for run, rival in self._run_cache.rivals:
                self._lifecycle.fail(
                    run.name, f"its epoch {run.announcement.epoch} is that of {rival.name}; start a new run"
                )
            for run in self._run_cache.runs:
                if not run.state.is_over:
                    self._look_after(run, log_progress=log_progress)
        if log_progress:
            self._lifecycle.check_store()
            report_lag(consumer, partitions, metrics)
        if self._tidying.is_due():
            self._housekeeping.retire_unneeded()

    def _look_after(self, run: RegisteredRun, *, log_progress: bool) -> None:
        try:
            progress = self._watch.advance(run)
        except RunFault as fault:
            _LOG.error("%s", fault)
            return
        if log_progress and run.state is RunState.LOADING:
            _LOG.info("run %s: %s", run.name, progress_text(run, progress))
        if run.state is RunState.READY:
            self._log_damage(run, damaged(progress))

    def _log_unreadable(self) -> None:
        """Logs an error about each record that became unreadable since the last time."""
        found = frozenset(self._run_cache.unreadable)
        for run in sorted(found - self._unreadable, key=lambda run: run.name):
            _LOG.error("the record of run %s cannot be read, and is left alone: %s", run.name, run.why)
        self._unreadable = found

    def _log_damage(self, run: RegisteredRun, lost: tuple[int, ...]) -> None:
        """Logs an error if verified partitions are damaged now, and a line once all are whole again."""
        known = self._lost.get(run.name, frozenset())
        if new := sorted(set(lost) - known):
            _LOG.error("run %s was READY, and Redis lost lists of partitions %s; loading them again", run.name, new)
        if known and not lost:
            _LOG.info("run %s is whole again", run.name)
        self._lost[run.name] = frozenset(lost)

    def forget(self) -> None:
        """Restarts the time without progress: an outage is not the fault of a run."""
        self._watch.forget()


def progress_text(run: RegisteredRun, progress: tuple[PartitionStatus, ...]) -> str:
    """Returns the loading progress of a run as text."""
    loaded, total = sum(part.loaded for part in progress), run.announcement.users
    verified = sum(part.is_verified for part in progress)
    return f"{loaded:,} of {total:,} lists, {verified} of {len(progress)} partitions verified"


def report_lag(consumer: Consumer, partitions: Mapping[int, PartitionLoader], metrics: LoaderMetrics) -> None:
    """Sets the lag behind Redis' positions for Prometheus, and commits these positions to Kafka for dashboards only."""
    offsets, lags = [], []
    for tp in consumer.assignment():
        position = partitions[tp.partition].next_offset if tp.partition in partitions else None
        if position is None:
            continue
        _, high = consumer.get_watermark_offsets(tp, cached=True)
        lags.append(max(0, high - position))
        offsets.append(TopicPartition(tp.topic, tp.partition, position))
    metrics.set_lags(lags)
    if offsets:
        consumer.commit(offsets=offsets, asynchronous=True)
