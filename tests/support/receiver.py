"""A web server that receives alerts, and answers as a test wants."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Receiver:
    """What was received, and how it is answered."""

    port: int = 0
    code: int = 200
    said: str = "ok"
    headers: dict[str, str] = field(default_factory=dict)
    """Of the answer."""
    seconds: float = 0
    """Before each byte of an answer."""
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    """Method, path and headers of each request."""
    documents: list[dict[str, Any]] = field(default_factory=list)

    def address(self, rest: str = "/", credentials: str = "") -> str:
        """An address of this server."""
        return f"http://{credentials}127.0.0.1:{self.port}{rest}"


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A server for as long as the block runs."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            receiver.documents.append(json.loads(self.rfile.read(length)))
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def _answer(self) -> None:
            receiver.requests.append((self.command, self.path, dict(self.headers)))
            if receiver.seconds:
                self._drip()
                return
            self.send_response(receiver.code)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(receiver.said.encode())

        def _drip(self) -> None:
            for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n":
                try:
                    self.wfile.write(bytes([byte]))
                except OSError:
                    return  # who asked has gone
                time.sleep(receiver.seconds)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
