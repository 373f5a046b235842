"""The processes of a job on this machine: the JVM, the Python driver and the Python workers."""

import os
from pathlib import Path

import psutil


def family() -> list[psutil.Process]:
    """Returns this process, the JVM that spark-submit runs it under, and all their children."""
    me = psutil.Process()
    parent = me.parent()
    root = parent if parent is not None and _is_java(parent) else me
    return [root, *root.children(recursive=True)]


def kind_of(process: psutil.Process) -> str | None:
    """Returns jvm, driver or workers; None for a child of the JVM that is not another program yet.

    Such a child shows the JVM's own pages. Raises psutil.Error where the process has ended.
    """
    if process.pid == os.getpid():
        return "driver"
    if not _is_java(process):
        return "workers"
    parent = process.parent()
    return None if parent is not None and _is_java(parent) else "jvm"


def _is_java(process: psutil.Process) -> bool:
    """Returns whether it runs Java; a new child is called as the thread that made it, whatever it runs."""
    return Path(process.exe()).name == "java"
