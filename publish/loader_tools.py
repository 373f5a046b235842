"""What the partitions of one loader have in common."""

from collections.abc import Callable
from dataclasses import dataclass

from publish.courier import Courier
from publish.dead_letters import DeadLetterQueue
from publish.loader_metrics import LoaderMetrics
from publish.redis_store import RedisStore
from publish.run_book import RunBook
from publish.run_desk import RunDesk


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
