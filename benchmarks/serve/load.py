"""A load generator for HTTP/1.1: connections that are kept, one request at a time on each, every failure counted."""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import uvloop

_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length: "
_CLOSE = b"\r\nconnection: close"
_LOST_SECONDS = 5.0


@dataclass
class Load:
    """What became of the requests."""

    seconds: float = 0.0
    times: list[float] = field(default_factory=list)
    """Seconds of each request that was answered with 200."""
    failures: list[str] = field(default_factory=list)
    """What happened to each of the others."""
    connections: int = 0
    """Connections that were made."""

    @property
    def per_second(self) -> float:
        """Requests per second."""
        return len(self.times) / self.seconds

    def milliseconds(self, percentile: float) -> float:
        """Returns a percentile of the times."""
        return float(np.percentile(self.times, percentile)) * 1_000


def load(
    port: int,
    paths: Callable[[], Iterator[bytes]],
    *,
    connections: int,
    seconds: float,
    until: Callable[[], bool] = lambda: True,
) -> Load:
    """Sends one request or more, for at least `seconds` and until `until` is true; returns what became of them."""
    return uvloop.run(_load(port, paths(), connections, seconds, until))


async def _load(port: int, paths: Iterator[bytes], count: int, seconds: float, until: Callable[[], bool]) -> Load:
    found, begun = Load(), time.perf_counter()
    lanes = [_Lane(port, paths, found) for _ in range(count)]
    try:
        for lane in lanes:
            lane.begin()
        while time.perf_counter() < begun + seconds or not until() or not (found.times or found.failures):
            await asyncio.sleep(0.01)
    finally:
        for lane in lanes:
            lane.is_over = True
        await asyncio.gather(*(lane.ended for lane in lanes))
    found.seconds = time.perf_counter() - begun
    return found


class _Lane(asyncio.Protocol):
    """One connection after another, one request after another."""

    def __init__(self, port: int, paths: Iterator[bytes], found: Load) -> None:
        self.is_over = False
        self.ended = asyncio.get_running_loop().create_future()
        self._port, self._paths, self._found = port, paths, found
        self._transport: asyncio.Transport | None = None
        self._received, self._sent_at, self._waits = b"", 0.0, False
        self._connecting: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Connects and sends the first request."""
        if self.is_over:
            self._end()
        else:
            self._connecting = asyncio.create_task(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            self._transport, _ = await loop.create_connection(lambda: self, "127.0.0.1", self._port)
        except OSError as error:
            self._found.failures.append(f"connect: {error.strerror}")
            await asyncio.sleep(0.01)
            self.begin()
            return
        self._found.connections += 1
        self._send()

    def _send(self) -> None:
        assert self._transport is not None
        if self.is_over:
            self._transport.close()
            return
        self._received, self._waits, self._sent_at = b"", True, time.perf_counter()
        self._transport.write(b"GET %s HTTP/1.1\r\nhost: localhost\r\n\r\n" % next(self._paths))

    def data_received(self, data: bytes) -> None:
        """Takes a piece of the answer; sends the next request when it is whole."""
        self._received += data
        head = self._received.find(_END_OF_HEAD)
        if head < 0:
            return
        at = self._received.find(_LENGTH, 0, head) + len(_LENGTH)
        if len(self._received) < head + len(_END_OF_HEAD) + int(self._received[at : self._received.find(b"\r", at)]):
            return
        self._waits = False
        if self._received.startswith(b"HTTP/1.1 200 "):
            self._found.times.append(time.perf_counter() - self._sent_at)
        else:
            self._found.failures.append(self._received[9:12].decode())
        if self._received.find(_CLOSE, 0, head) < 0:
            self._send()
        elif self._transport is not None:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Connects again; a request that was under way has failed."""
        if self._waits:
            self._waits = False
            self._found.failures.append(f"lost: {exc or 'closed'}")
        self.begin()

    def _end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


def paths_of(prefix: bytes, users: list[int]) -> Callable[[], Iterator[bytes]]:
    """Returns what gives the paths of these users, over and over."""
    return lambda: itertools.cycle([b"%s%d" % (prefix, user) for user in users])
