"""Measures peak memory and processor time of a stage by sampling the JVM, the Python driver and the Python workers."""

import threading
from types import TracebackType

import psutil

from jobs.runtime.core_seconds import CoreSeconds
from jobs.runtime.family import family, kind_of

_PERIOD_SECONDS = 0.25


class PeakMemory:
    """Samples four times a second while the context is open; `peak` holds the largest resident bytes of each kind.

    `cores` holds the processor time of each kind.
    """

    def __init__(self) -> None:
        self.peak = {"jvm": 0, "driver": 0, "workers": 0, "total": 0}
        self.cores = CoreSeconds()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="peak-memory", daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._sample()
        self.cores.begin()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
        self._sample()

    def _watch(self) -> None:
        while not self._stop.wait(_PERIOD_SECONDS):
            self._sample()

    def _sample(self) -> None:
        now = {"jvm": 0, "driver": 0, "workers": 0}
        for process in family():
            try:
                if (kind := kind_of(process)) is not None:
                    now[kind] += process.memory_info().rss
                    self.cores.look(process, kind)
            except psutil.Error:
                continue  # it ended in the meantime
        now["total"] = sum(now.values())
        for kind, size in now.items():
            self.peak[kind] = max(self.peak[kind], size)
