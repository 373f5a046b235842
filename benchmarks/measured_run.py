"""Measures one whole run through spark-submit, in a work folder and on servers of its own."""

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from conf.connections import RedisConnection
from conf.load import load_settings
from deploy.chain import ProductFiles, job_command, run_job, running_loader
from deploy.environment import shell_variables
from deploy.servers.local_stack import LocalStack
from jobs.run.manifest import Manifest, find_run
from jobs.storage.store import Storage
from publish.connect.redis_clients import redis_client

_LINE = re.compile(rb"^\d\d:\d\d:\d\d ", re.MULTILINE)


@dataclass(frozen=True)
class MeasuredRun:
    """A run's manifest, and its costs that the manifest does not hold."""

    manifest: Manifest
    folder: str
    loader_peak_bytes: int
    redis_bytes_per_list: float
    """Redis' memory beyond an empty server ÷ lists."""
    seconds: float
    """From spark-submit until it has ended."""
    first_line_seconds: float
    """From spark-submit to the first line of the job's log."""

    @property
    def lists(self) -> int:
        """Number of lists that were sent and acknowledged."""
        return int(self.manifest.fact("publish", "counts")["produced"])


def measure_run(home: Path, product: ProductFiles, as_of: str, *, maxmemory: str = "4gb") -> MeasuredRun:
    """Runs the weekly job on the datasets below `home`; its log is `home/job.log`. Raises ChainFailed."""
    settings = load_settings(product.config, product.overlays)
    with LocalStack(home, fast_start=False, maxmemory=maxmemory) as stack:
        environment = {**os.environ, **shell_variables(home, stack.environment(), product.config)}
        with running_loader(product, environment, home / "loader.log") as pid, _peak_of(pid) as peak:
            command = job_command(product, "--as-of", as_of, "--first", "--trigger-id", "benchmark")
            start = time.monotonic()
            with _first_line_of(home / "job.log") as first_line:
                run_job(command, environment, home / "job.log")
            seconds = time.monotonic() - start
        memory = redis_client(RedisConnection.of(stack.environment()["REDIS_URL"])).info("memory")
    run = sorted(path.parent.name for path in home.glob(f"runs/{settings.product}/*/manifest.json"))[-1]
    kept = find_run(Storage(str(home)), settings.product, run)
    if kept is None:
        raise FileNotFoundError(f"run {run} in {home} has no manifest although the job ended well")
    lists = kept.manifest.fact("publish", "counts")["produced"]
    used = memory["used_memory"] - memory["used_memory_startup"]
    return MeasuredRun(kept.manifest, kept.folder.uri, peak[0], used / lists, seconds, first_line[0])


@contextmanager
def _first_line_of(log: Path) -> Iterator[list[float]]:
    """Yields a list of one number: the seconds until the log's first line with a time; Java warns before it."""
    start, seen = time.monotonic(), [float("nan")]

    def look() -> bool:
        if log.exists() and _LINE.search(log.read_bytes()):
            seen[0] = time.monotonic() - start
            return False
        return True

    with _watching(look, 0.02):
        yield seen


@contextmanager
def _peak_of(pid: int) -> Iterator[list[int]]:
    """Yields a list of one number: the largest resident size of the process so far, in bytes."""
    peak, process = [0], psutil.Process(pid)

    def look() -> bool:
        if not process.is_running():
            return False
        peak[0] = max(peak[0], process.memory_info().rss)
        return True

    with _watching(look, 0.25):
        yield peak


@contextmanager
def _watching(look: Callable[[], bool], every: float) -> Iterator[None]:
    """Calls `look` in a thread, `every` so many seconds, until it returns False or the block ends."""
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(every) and look():
            pass

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
