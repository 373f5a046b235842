"""Calls on their way to Redis while the loader makes the next ones ready."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from confluent_kafka import Message

from publish.runs.run import Run
from publish.store.batches import Batch
from publish.store.redis_store import RedisStore, Step
from publish.store.replies import Reply


class Call(NamedTuple):
    """One atomic call: a step of a partition, the lists that it stores, and the messages that they came in."""

    step: Step
    batch: Batch
    messages: Sequence[Message]


class Flight(NamedTuple):
    """Consecutive calls of a partition for one run, on their way."""

    run: Run
    calls: Sequence[Call]
    answer: Future[list[Reply]]


class Courier:
    """Brings calls to Redis on a thread of its own, in the order in which they are given to it."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="courier")

    def send(self, run: Run, calls: Sequence[Call]) -> Flight:
        """Start; the flight's answer raises StoreUnreachable where Redis does not do its part."""
        steps = [(call.step, call.batch) for call in calls]
        return Flight(run, calls, self._thread.submit(self._store.load_batches, run.announcement, steps))

    def wait(self) -> None:
        """Return when nothing is on its way any more."""
        self._thread.submit(int).result()

    def close(self) -> None:
        """Let what is on its way arrive."""
        self._thread.shutdown()
