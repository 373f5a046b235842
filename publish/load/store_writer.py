"""Sends calls to Redis on a thread while the loader prepares the next ones."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from confluent_kafka import Message

from publish.runs.run import RegisteredRun
from publish.store.batches import Batch
from publish.store.redis_store import RedisStore, Step
from publish.store.replies import Reply


class Call(NamedTuple):
    """One atomic call: a step of a partition, the lists it stores, and the messages they came in."""

    step: Step
    batch: Batch
    messages: Sequence[Message]


class PendingWrite(NamedTuple):
    """Consecutive calls of a partition for one run, under way."""

    run: RegisteredRun
    calls: Sequence[Call]
    answer: Future[list[Reply]]


class StoreWriter:
    """Sends calls to Redis on its own thread, in the order of `send`."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="writer")

    def send(self, run: RegisteredRun, calls: Sequence[Call]) -> PendingWrite:
        """Starts the calls; the result of `answer` raises StoreUnreachable if Redis fails."""
        steps = [(call.step, call.batch) for call in calls]
        return PendingWrite(run, calls, self._thread.submit(self._store.load_batches, run.announcement, steps))

    def wait(self) -> None:
        """Waits until no call is under way."""
        self._thread.submit(int).result()

    def close(self) -> None:
        """Waits until all calls are done and stops the thread."""
        self._thread.shutdown()
