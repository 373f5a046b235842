"""What the tests of this room ask of processes and ports."""

import time
from collections.abc import Callable

from deploy.servers.ports import is_free
from deploy.servers.processes import is_alive, start_time

__all__ = ["is_alive", "is_free", "start_time", "wait_until"]


def wait_until(condition: Callable[[], bool], seconds: float = 180) -> None:
    """Fails the test unless the condition becomes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not true within {seconds} s"
        time.sleep(0.05)
