"""The service as it is started: bounds, connections, token, one process or several."""

import gc
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from conf.connections import RedisConnection
from conf.serve import ServeSettings
from publish.connect.async_reads import PipelinedReads
from publish.read.async_reader import AsyncReader
from publish.read.rules import ExposureSink
from publish.serve.app import Product, ServeApp
from publish.serve.metrics import ServeMetrics
from publish.serve.server import DrainingServer
from publish.serve.workers import Workers

_CLOSING_SECONDS = 8.0


class ClosableSink(ExposureSink, Protocol):
    """A log of exposures that sends what waits when it is closed; forked processes have one each."""

    def close(self) -> None:
        """Sends what waits, within a bound."""


@dataclass(frozen=True, repr=False)
class Service:
    """What a process needs to answer."""

    product: Product
    bounds: ServeSettings
    redis: RedisConnection
    tokens: Sequence[str] = ()
    exposures: ClosableSink | None = None

    def serve(self, listening: socket.socket, processes: int = 1) -> None:
        """Answers until SIGTERM or Ctrl-C, and returns when the last request is answered.

        Several processes count together within `shared_counts` only.
        """
        if processes == 1:
            self._work(listening, None)
            return
        end = self.bounds.drain_delay_seconds + self.bounds.drain_seconds + _CLOSING_SECONDS
        Workers(processes, lambda alive: self._work(listening, alive), end_seconds=end).run(listening.close)

    def _work(self, listening: socket.socket, alive: int | None) -> None:
        reads = PipelinedReads(self.redis, timeout=self.bounds.redis_timeout_seconds)
        app = ServeApp(
            self.product,
            self.bounds,
            AsyncReader(reads, self.product.name),
            ServeMetrics(self.product.name),
            tokens=self.tokens,
            exposures=self.exposures,
        )
        gc.freeze()  # what was loaded until now stays; a collection that looked through it would hold up everybody
        try:
            DrainingServer(app, self.bounds, alive=alive, close=reads.close).run(sockets=[listening])
        finally:
            if self.exposures is not None:
                self.exposures.close()
