"""A uvicorn server that ends without a failed request, and bounds what a client may send before it is asked.

It ends in this order: /readyz says 503 while everything goes on, for a moment; then no more connections are accepted,
and every answer says `Connection: close`; it ends when the last connection has closed, or at the deadline. uvicorn
alone closes idle connections at once, on which a client may be sending at that moment.
"""

import asyncio
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from conf.base import format_bytes
from conf.serve import ServeSettings
from publish.serve.answers import problem_json
from publish.serve.app import ServeApp
from publish.serve.problems import RETRY_SECONDS, Problem

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_TICKS_PER_SECOND = 10
_LINGER_SECONDS = 1.0


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with bounds on URL, headers and connections; while it drains, each answer closes."""

    bounds = ServeSettings()
    refused: Callable[[str], None] = staticmethod(lambda word: None)
    """Counts a refusal by its word."""
    is_draining = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Takes a connection, unless there are too many, or refuses it with a word."""
        super().connection_made(transport)
        self._head_bytes, self._is_refused = 0, False
        self._refusal = Problem(400, "bad_request", "this is no HTTP/1.1")
        if len(self.connections) > self.bounds.max_connections:
            self._refusal = Problem(503, "overloaded", "more connections than serve.max_connections allows")
            self.send_400_response("")
            return
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def data_received(self, data: bytes) -> None:
        """Parses what came, unless the connection was refused."""
        if not self._is_refused:
            super().data_received(data)

    def on_message_begin(self) -> None:
        """Begins a request."""
        self._head_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Takes a piece of the URL; raises _TooLong."""
        self._count(len(url), 414, "URL")
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes a header; raises _TooLong."""
        self._count(len(name) + len(value), 431, "URL and headers")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begins to answer."""
        super().on_headers_complete()
        if self.is_draining and self.cycle is not None:
            self.cycle.keep_alive = False

    def send_400_response(self, msg: str) -> None:
        """Refuses what cannot be parsed, with the reason that was found, and closes."""
        del msg
        problem = self._refusal
        body = problem_json(problem).encode()
        retry = b"retry-after: %d\r\n" % RETRY_SECONDS if problem.may_be_repeated else b""
        self.transport.write(
            b"%scontent-type: application/json\r\n%scontent-length: %d\r\nconnection: close\r\n\r\n%s"
            % (STATUS_LINE[problem.status], retry, len(body), body)
        )
        self.refused(problem.word)
        self._is_refused = True  # what still comes is thrown away: closed at once, the answer might not arrive
        self.transport.write_eof()
        self.loop.call_later(_LINGER_SECONDS, self.transport.close)

    def shutdown(self) -> None:
        """Lets the next answer close the connection; an idle one is closed by its client, its time or the deadline."""
        self.is_draining = True
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False

    def close_if_idle(self) -> None:
        """Closes the connection unless a request is being answered."""
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def _count(self, size: int, status: int, what: str) -> None:
        self._head_bytes += size
        if self._head_bytes > self.bounds.max_head_bytes:
            hint = "; POST /v1/lists takes long exclusions" if status == 414 else ""
            limit = format_bytes(self.bounds.max_head_bytes)
            self._refusal = Problem(status, "too_long", f"{what} longer than {limit}{hint}")
            raise _TooLong


class _TooLong(Exception):
    """More bytes than a request may have; the parser ends with it."""


class DrainingServer(uvicorn.Server):
    """A server of one process on a socket that listens already; SIGTERM and Ctrl-C let it end in order."""

    def __init__(
        self, app: ServeApp, bounds: ServeSettings, *, alive: int | None, close: Callable[[], Awaitable[None]]
    ) -> None:
        """`alive`: a file that ends when the parent does, and the server with it; `close` is called last."""
        self._protocol_class: Any = type(
            "Protocol", (BoundedProtocol,), {"bounds": bounds, "refused": app.count_refusal}
        )
        super().__init__(
            uvicorn.Config(
                app,
                loop="uvloop",
                http=self._protocol_class,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="error",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=bounds.keep_alive_seconds,
            )
        )
        self._app, self._bounds, self._alive, self._close = app, bounds, alive, close
        self._hurries = False
        self._leave_at: float | None = None
        self._background: set[asyncio.Task[None]] = set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handles the signals while the block runs; it ends as if none had come, since it ended as it was told."""
        before = {number: signal.signal(number, self.handle_exit) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begins to end; Ctrl-C leaves out the delay and closes idle connections; a further signal does so, too."""
        del frame
        self.leave(hurries=sig == signal.SIGINT or self._app.is_draining)

    def leave(self, *, hurries: bool) -> None:
        """Begins to end, after the delay in which requests go on while /readyz is 503, unless it `hurries`."""
        self.force_exit = self.should_exit
        self._app.is_draining, self._hurries = True, hurries
        self._leave_at = time.monotonic() + (0.0 if hurries else self._bounds.drain_delay_seconds)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to answer."""
        await super().startup(sockets)
        if self._alive is not None:
            asyncio.get_running_loop().add_reader(self._alive, self._parent_ended, self._alive)

    def _parent_ended(self, alive: int) -> None:
        asyncio.get_running_loop().remove_reader(alive)
        self.leave(hurries=False)

    async def on_tick(self, counter: int) -> bool:
        """Does what is to be done ten times a second, and once; returns whether to end."""
        if counter % _TICKS_PER_SECOND == 0:
            self._app.tell_metrics()
            task = asyncio.create_task(self._app.refresh())
            self._background.add(task)
            task.add_done_callback(self._background.discard)
        if self._leave_at is not None and time.monotonic() >= self._leave_at:
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accepts no more connections, none that waits is lost, and ends with the last one or at the deadline."""
        listening = [each.dup() for each in sockets or ()]
        for server in self.servers:
            server.close()
        for each in sockets or ():
            each.close()
        for connection in self.server_state.connections:
            connection.shutdown()
        self._protocol_class.is_draining = True
        for each in listening:
            await self._accept_all(each)
        await self._until_closed(time.monotonic() + self._bounds.drain_seconds)
        await self._close()

    async def _accept_all(self, listening: socket.socket) -> None:
        """Takes every connection that waits, and closes the socket in the same breath."""
        listening.settimeout(0)
        waiting: list[socket.socket] = []
        with listening, suppress(BlockingIOError):
            while True:
                waiting.append(listening.accept()[0])
        for connection in waiting:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> Any:
        return self._protocol_class(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

    async def _until_closed(self, deadline: float) -> None:
        state = self.server_state
        while state.connections and not self.force_exit and time.monotonic() < deadline:
            if self._hurries:
                self._close_idle()
            await asyncio.sleep(0.05)
        self._close_idle()
        while state.tasks and not self.force_exit and time.monotonic() < deadline + 1.0:
            await asyncio.sleep(0.05)

    def _close_idle(self) -> None:
        for connection in list(self.server_state.connections):
            connection.close_if_idle()  # type: ignore[union-attr]
