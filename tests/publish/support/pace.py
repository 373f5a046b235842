"""A brake for loaders, so that a test meets them in the middle of a partition."""

import threading
from typing import Any

import pytest

from publish.load import load_partition
from publish.store.redis_store import RedisStore
from publish.store.replies import Reply


class Pace:
    """Loads in batches of five; `hold` stops a partition after some of them until `release`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._left: dict[int, int] = {}
        self._change = threading.Condition()
        self._held = False
        load = RedisStore.load_batches

        def at_this_pace(store: RedisStore, run: Any, steps: Any) -> list[Reply]:
            replies: list[Reply] = []
            for step in steps:
                self._pass(step[0].partition)
                replies += load(store, run, [step])
            return replies

        monkeypatch.setattr(load_partition, "MAX_BATCH", 5)
        monkeypatch.setattr(RedisStore, "load_batches", at_this_pace)

    def hold(self, partition: int, *, after: int) -> None:
        """Let so many more batches of the partition pass."""
        with self._change:
            self._left[partition], self._held = after, False
            self._change.notify_all()

    def wait_until_held(self) -> None:
        """Return when a loader stands at the brake."""
        with self._change:
            assert self._change.wait_for(lambda: self._held, timeout=180)

    def release(self) -> None:
        """No brake any more."""
        with self._change:
            self._left.clear()
            self._change.notify_all()

    def _pass(self, partition: int) -> None:
        with self._change:
            while self._left.get(partition) == 0:
                self._held = True
                self._change.notify_all()
                assert self._change.wait(timeout=180)
            if partition in self._left:
                self._left[partition] -= 1
