"""What Redis knows: what serves, what is on its way, and how much room is left."""

from collections import Counter
from collections.abc import Sequence

from conf.connections import RedisConnection
from conf.settings import Settings
from conf.windows import midnight
from jobs.export.samples import Readable, Sample, Samples, at, known
from publish.connect.redis_clients import StoreClient, redis_client
from publish.errors import StoreUnreachable
from publish.operate.control import Control, RunReport, StatusReport
from publish.runs.run import RunState
from publish.store.capacity import DeclaredLimits, StoreLimits

_SECONDS = 3.0
"""Longest wait for a reply; a scrape has less than ten seconds."""


class RedisSource(Readable):
    """One product's part of Redis; only reads."""

    def __init__(self, settings: Settings, store: RedisConnection) -> None:
        self._settings, self._store = settings, store
        self._client: StoreClient | None = None

    def read(self) -> Samples:
        """Yields what there is; raises PublishError."""
        settings = self._settings
        if self._client is None:
            self._client = redis_client(self._store, timeout=_SECONDS)
        declared = DeclaredLimits.of(settings.publish)
        status = Control.connect(self._client, settings.product, who="exporter", declared=declared).status()
        yield from _serving(status)
        yield from _pushes(status)
        stalls = [one.run.announcement.stall_seconds for one in status.on_the_way]
        yield Sample("discovery_run_push_stall_seconds", min(stalls, default=settings.publish.stall_seconds))
        yield from _redis(status.limits, status.runs)
        yield Sample("discovery_redis_dead_letters_total", status.dead_letters)

    def without(self, fault: Exception | None) -> Samples:
        """Yields what is to be said where it could not be read; fault: None where it took too long."""
        yield Sample("discovery_redis_up", float(not (fault is None or isinstance(fault, StoreUnreachable))))


def _serving(status: StatusReport) -> Samples:
    pointer, by_name = status.pointer, {one.run.name: one.run.announcement for one in status.runs}
    for arm, run in (("treatment", pointer.treatment), ("control", pointer.control)):
        yield Sample(f"discovery_serving_{arm}", float(run is not None))
        if run is not None and run in by_name:
            yield Sample("discovery_serving_users", by_name[run].users, {"arm": arm})
    serving = status.serving
    yield from at("discovery_serving_since_timestamp_seconds", pointer.serving_since)
    as_of = None if serving is None else midnight(serving.announcement.as_of)
    yield from at("discovery_serving_as_of_timestamp_seconds", as_of)
    yield from at("discovery_serving_changed_timestamp_seconds", pointer.since)
    yield Sample("discovery_serving_share_ratio", pointer.share_bp.ratio)
    yield Sample("discovery_serving_cap_ratio", pointer.cap_bp.ratio)
    yield Sample("discovery_serving_held", float(pointer.hold is not None))
    held = None if pointer.hold is None else pointer.hold.since
    yield from at("discovery_serving_held_since_timestamp_seconds", held)
    yield Sample("discovery_serving_damaged_partitions", len(status.damaged))
    yield Sample("discovery_serving_restoring", float(status.restoring))
    yield Sample("discovery_serving_unsent_changes", status.unsent)


def _pushes(status: StatusReport) -> Samples:
    states = Counter(one.run.state for one in status.runs)
    for state in RunState:
        yield Sample("discovery_run_states", states[state], {"state": state})
    yield Sample("discovery_run_unreadable", len(status.unreadable))
    yield Sample("discovery_run_waiting", len(status.waiting))
    coming = status.on_the_way
    yield Sample("discovery_run_pushes", len(coming))
    if coming:
        partitions = [part for one in coming for part in one.partitions]
        yield Sample("discovery_run_push_announced_lists", sum(one.run.announcement.users for one in coming))
        yield Sample("discovery_run_push_loaded_lists", sum(part.loaded for part in partitions))
        signs = [moment for part in partitions for moment in (part.since, part.touched) if moment is not None]
        newest = max([*signs, *(one.run.status.since for one in coming)])
        yield from at("discovery_run_push_touched_timestamp_seconds", newest)
    failed = [one.run.status.since for one in status.runs if one.run.state is RunState.FAILED]
    yield from at("discovery_run_last_failed_push_timestamp_seconds", max(failed, default=None))


def _redis(limits: StoreLimits, runs: Sequence[RunReport]) -> Samples:
    yield Sample("discovery_redis_up", 1)
    yield Sample("discovery_redis_memory_used_bytes", limits.used)
    yield Sample("discovery_redis_memory_max_bytes", limits.maxmemory)
    yield Sample("discovery_redis_unsafe", float(limits.fault is not None))
    yield from known("discovery_redis_room_bytes", limits.room if limits.maxmemory else None)
    there = [one.estimated_bytes for one in runs if not one.run.state.is_over and one.run.status.cleared is None]
    yield from known("discovery_redis_largest_run_bytes", max(there, default=None))
