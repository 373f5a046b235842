"""Ends a driver whose JVM has gone: spark-submit killed by its pid leaves the Python process behind."""

import os
import threading
import time

import psutil

_PERIOD_SECONDS = 1.0
_GONE = 143  # as a process that SIGTERM ended


def end_with_spark_submit() -> None:
    """From now on this process ends within seconds when the JVM that runs it ends; nothing happens without one."""
    parent = psutil.Process().parent()
    if parent is not None and "java" in parent.name():
        threading.Thread(target=_watch, args=(parent,), name="orphan-watch", daemon=True).start()


def _watch(parent: psutil.Process) -> None:
    while parent.is_running() and parent.status() != psutil.STATUS_ZOMBIE:
        time.sleep(_PERIOD_SECONDS)
    # at once and without clean-up: what was being written is unfinished, and the lease lapses by itself
    os._exit(_GONE)
