"""Gives Redis and its readers a core of their own, as docs/redis.md asks of a host that they share with a loader."""

import os
from collections.abc import Iterator, Set
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def apart(store: int, *others: int) -> Iterator[Set[int]]:
    """Moves the process `store` to the last core, and the others and this one to the remaining cores.

    Yields the last core, for threads that move there too. On a machine with one core nothing moves.
    """
    cores = os.sched_getaffinity(0)
    own = {max(cores)}
    rest = cores - own or own
    _move([store], own)
    _move([*others, os.getpid()], rest)
    try:
        yield own
    finally:
        _move([store, *others, os.getpid()], cores)


def _move(pids: list[int], cores: Set[int]) -> None:
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), cores)
