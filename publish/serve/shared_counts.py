"""Lets the processes of a service count together; to be entered before prometheus_client is loaded."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable that names the folder of the counts of several processes; prometheus_client reads it."""


@contextmanager
def shared_counts(processes: int) -> Iterator[None]:
    """Keeps the counts in files of a folder for the block, where there are several processes."""
    os.environ.pop(SHARED, None)
    if processes == 1:
        yield
        return
    os.environ[SHARED] = folder = tempfile.mkdtemp(prefix="discovery-serve-")
    try:
        yield
    finally:
        del os.environ[SHARED]
        shutil.rmtree(folder, ignore_errors=True)
