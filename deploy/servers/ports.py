"""Chooses free loopback ports that a server keeps from one start to the next."""

import fcntl
import os
import random
import re
import socket
import tempfile
from io import TextIOWrapper
from pathlib import Path

LOOPBACK = "127.0.0.1"
# Below the ranges from which systems take the ports of outgoing connections: a client that keeps trying a
# stopped server can neither take its port nor, as happens on loopback, connect to itself.
_CANDIDATES = range(20_000, 30_000)
_RESERVED: dict[int, TextIOWrapper] = {}
"""The locks of ports that this process has chosen; held until it ends, so that a server that is down keeps its port."""


def choose_ports(memory: Path, count: int) -> tuple[int, ...]:
    """Returns the ports written in the file `memory` if all are free, else new ones, which are written there."""
    if memory.exists():
        remembered = tuple(int(digits) for digits in re.findall(r"\d+", memory.read_text()))
        if len(remembered) == count and all(
            is_free(port) and (port in _RESERVED or reserve(port)) for port in remembered
        ):
            return remembered
    ports = free_ports(count)
    memory.write_text(" ".join(map(str, ports)) + "\n")
    return ports


def reserve(port: int) -> bool:
    """Keeps the port from whoever else chooses one by these functions; returns whether nobody had it before."""
    if port in _RESERVED:
        return False
    folder = Path(tempfile.gettempdir()) / f"discovery-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    lock = (folder / str(port)).open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return False
    _RESERVED[port] = lock
    return True


def is_free(port: int) -> bool:
    """Returns whether a server could listen on the loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def answers(port: int) -> bool:
    """Returns whether something accepts connections on the loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0


def free_ports(count: int) -> tuple[int, ...]:
    """Returns ports that are free, and reserved for this process until it ends."""
    # The system's randomness: two processes that seed `random` alike must not choose alike.
    shuffled = random.SystemRandom().sample(_CANDIDATES, len(_CANDIDATES))
    free = (port for port in shuffled if is_free(port) and reserve(port))
    return tuple(next(free) for _ in range(count))
