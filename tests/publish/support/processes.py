"""Loaders in processes of their own, which may die or freeze."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from conf.connections import KafkaConnection

ROOT = Path(__file__).parents[3]


@contextmanager
def dying_loaders(
    kafka: KafkaConnection, url: str, points: Mapping[str, str], number: signal.Signals = signal.SIGKILL
) -> Iterator[subprocess.Popen[str]]:
    """Loaders of some products that signal themselves at their points; all are gone when the block ends."""
    command = [sys.executable, "-m", "tests.publish.support.dying_loader", kafka.servers, url, number.name]
    command += [f"{product}={point}" for product, point in points.items()]
    process = subprocess.Popen(
        command, cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
