"""A TCP proxy in front of a server: it cuts connections, keeps answers back, and refuses to connect."""

import select
import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self


class TcpProxy:
    """Passes bytes between its own loopback port and another one; use as a context manager."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._flow, self._open = threading.Event(), threading.Event()
        self._flow.set()
        self._open.set()
        self._lock, self._closed = threading.Lock(), False

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    def hold_answers(self) -> None:
        """From now on requests arrive and their answers do not."""
        self._flow.clear()

    def release(self) -> None:
        """Whatever was held back or refused passes again."""
        self._flow.set()
        self._open.set()

    def cut(self) -> None:
        """Break every connection, answers on their way included, and take none until `release`."""
        self._open.clear()
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                _close(end)

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        self._flow.set()
        _close(self._listener)
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while not self._closed:
                client, _ = self._listener.accept()
                if not self._open.is_set():
                    _close(client)
                    continue
                try:
                    server = socket.create_connection(("127.0.0.1", self._target), timeout=5)
                except OSError:
                    _close(client)
                    continue
                with self._lock:
                    self._pairs.append((client, server))
                threading.Thread(target=self._pump, args=(client, server, False), daemon=True).start()
                threading.Thread(target=self._pump, args=(server, client, True), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        with suppress(OSError, ValueError):
            while True:
                select.select([source], [], [])
                if answers:
                    self._flow.wait()
                data = source.recv(65_536)
                if not data:
                    break
                sink.sendall(data)
        _close(source)
        _close(sink)


def _close(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
