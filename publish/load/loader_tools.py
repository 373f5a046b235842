"""What the partitions of one loader have in common."""

from collections.abc import Callable
from dataclasses import dataclass

from publish.load.courier import Courier
from publish.load.dead_letters import DeadLetterQueue
from publish.load.loader_metrics import LoaderMetrics
from publish.load.run_book import RunBook
from publish.runs.run_desk import RunDesk
from publish.store.redis_store import RedisStore


@dataclass(frozen=True)
class Tools:
    """What the partitions of one loader share."""

    store: RedisStore
    courier: Courier
    book: RunBook
    desk: RunDesk
    dead_letters: DeadLetterQueue
    metrics: LoaderMetrics
    pause: Callable[[], None]
