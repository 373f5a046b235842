"""Ends a driver whose JVM has gone: spark-submit killed by its pid leaves the Python process behind."""

import os
import threading
import time

import psutil

_PERIOD_SECONDS = 1.0
_GONE = 143  # as a process that SIGTERM ended


def end_with_spark_submit() -> None:
    """Starts a thread that ends this process within seconds after its JVM ended; does nothing without one."""
    parent = psutil.Process().parent()
    if parent is not None and "java" in parent.name():
        threading.Thread(target=_watch, args=(parent,), name="orphan-watch", daemon=True).start()


def _watch(parent: psutil.Process) -> None:
    while _lives(parent):
        time.sleep(_PERIOD_SECONDS)
    # no clean-up: tables in progress stay unfinished, and the lease expires
    os._exit(_GONE)


def _lives(process: psutil.Process) -> bool:
    """Returns whether it still runs; a process may be reaped between two questions, and then the second one raises."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
