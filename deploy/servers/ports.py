"""Chooses free loopback ports that a server keeps from one start to the next."""

import random
import re
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"
# Below the ranges from which systems take the ports of outgoing connections: a client that keeps trying a
# stopped server can neither take its port nor, as happens on loopback, connect to itself.
_CANDIDATES = range(20_000, 30_000)


def choose_ports(memory: Path, count: int) -> tuple[int, ...]:
    """Returns the ports written in the file `memory` if all are free, else new ones, which are written there."""
    if memory.exists():
        remembered = tuple(int(digits) for digits in re.findall(r"\d+", memory.read_text()))
        if len(remembered) == count and all(is_free(port) for port in remembered):
            return remembered
    ports = _free_ports(count)
    memory.write_text(" ".join(map(str, ports)) + "\n")
    return ports


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


def _free_ports(count: int) -> tuple[int, ...]:
    # The system's randomness: two processes that seed `random` alike must not choose alike.
    shuffled = random.SystemRandom().sample(_CANDIDATES, len(_CANDIDATES))
    free = (port for port in shuffled if is_free(port))
    return tuple(next(free) for _ in range(count))
