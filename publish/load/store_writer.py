"""Calls on their way to Redis while the loader makes the next ones ready."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from confluent_kafka import Message

from publish.runs.run import RegisteredRun
from publish.store.batches import Batch
from publish.store.redis_store import RedisStore, Step
from publish.store.replies import Reply


class Call(NamedTuple):
    """One atomic call: a step of a partition, the lists that it stores, and the messages that they came in."""

    step: Step
    batch: Batch
    messages: Sequence[Message]


class PendingWrite(NamedTuple):
    """Consecutive calls of a partition for one run, on their way."""

    run: RegisteredRun
    calls: Sequence[Call]
    answer: Future[list[Reply]]


class StoreWriter:
    """Brings calls to Redis on a thread of its own, in the order in which they are given to it."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="writer")

    def send(self, run: RegisteredRun, calls: Sequence[Call]) -> PendingWrite:
        """Start; the write's answer raises StoreUnreachable where Redis does not do its part."""
        steps = [(call.step, call.batch) for call in calls]
        return PendingWrite(run, calls, self._thread.submit(self._store.load_batches, run.announcement, steps))

    def wait(self) -> None:
        """Return when nothing is on its way any more."""
        self._thread.submit(int).result()

    def close(self) -> None:
        """Let what is on its way arrive."""
        self._thread.shutdown()
