"""Objects shared by the partitions of one loader."""

from collections.abc import Callable
from dataclasses import dataclass

from publish.load.dead_letter_writer import DeadLetterQueue
from publish.load.loader_metrics import LoaderMetrics
from publish.load.run_cache import RunCache
from publish.load.store_writer import StoreWriter
from publish.runs.lifecycle import RunLifecycle
from publish.store.redis_store import RedisStore


@dataclass(frozen=True)
class Tools:
    """Objects shared by the partitions of one loader."""

    store: RedisStore
    writer: StoreWriter
    run_cache: RunCache
    lifecycle: RunLifecycle
    dead_letters: DeadLetterQueue
    metrics: LoaderMetrics
    pause: Callable[[], None]
