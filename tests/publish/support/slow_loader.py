"""A loader as a process, slow enough to be ended in the middle: `python -m … BOOTSTRAP REDIS_URL PRODUCT`."""

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from conf.connections import KafkaConnection, RedisConnection
from publish.connect.redis_clients import redis_client
from publish.load import load_partition
from publish.load.loader import Loader, stop_on_signals
from publish.store.redis_store import RedisStore
from publish.store.replies import Reply

_PAUSE_SECONDS = 0.001


def slow_down(patch: Callable[[object, str, Any], None], *, records: int) -> None:
    """Load a few records at a time, one call after the other, with a pause before each; `patch` is setattr or alike."""
    load = RedisStore.load_batches

    def slowly(store: RedisStore, run: Any, steps: Sequence[Any]) -> list[Reply]:
        replies: list[Reply] = []
        for step in steps:
            time.sleep(_PAUSE_SECONDS)
            replies += load(store, run, [step])
        return replies

    patch(load_partition, "MAX_BATCH", records)
    patch(RedisStore, "load_batches", slowly)


def main(servers: str, url: str, product: str) -> None:
    """Load until told to stop."""
    slow_down(setattr, records=3)
    Loader(KafkaConnection(servers=servers), redis_client(RedisConnection.of(url)), product).run(stop_on_signals())


if __name__ == "__main__":
    main(*sys.argv[1:])
