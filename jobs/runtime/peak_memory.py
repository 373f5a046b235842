"""Measures the peak memory of a stage by sampling the JVM, the Python driver and the Python workers."""

import os
import threading
from pathlib import Path
from types import TracebackType

import psutil

_PERIOD_SECONDS = 0.25


class PeakMemory:
    """Samples resident bytes four times a second while the context is open; `peak` holds the largest of each kind."""

    def __init__(self) -> None:
        self.peak = {"jvm": 0, "driver": 0, "workers": 0, "total": 0}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="peak-memory", daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._sample()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(_PERIOD_SECONDS):
            self._sample()

    def _sample(self) -> None:
        now = {"jvm": 0, "driver": 0, "workers": 0}
        for process in _family():
            try:
                if (kind := _kind(process)) is not None:
                    now[kind] += process.memory_info().rss
            except psutil.Error:
                continue  # it ended in the meantime
        now["total"] = sum(now.values())
        for kind, size in now.items():
            self.peak[kind] = max(self.peak[kind], size)


def _family() -> list[psutil.Process]:
    """Returns this process, the JVM that spark-submit runs it under, and all their children."""
    me = psutil.Process()
    parent = me.parent()
    root = parent if parent is not None and _is_java(parent) else me
    return [root, *root.children(recursive=True)]


def _kind(process: psutil.Process) -> str | None:
    """Returns what it is; None for a child of the JVM that is not another program yet and shows the JVM's own pages."""
    if process.pid == os.getpid():
        return "driver"
    if not _is_java(process):
        return "workers"
    parent = process.parent()
    return None if parent is not None and _is_java(parent) else "jvm"


def _is_java(process: psutil.Process) -> bool:
    """Returns whether it runs Java; a new child is called as the thread that made it, whatever it runs."""
    return Path(process.exe()).name == "java"
