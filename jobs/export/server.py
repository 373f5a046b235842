"""`/metrics` and `/health` over HTTP, until the process is told to end."""

import socket
import threading
from collections.abc import Iterable
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import CollectorRegistry, make_wsgi_app

_IDLE_SECONDS = 10.0
"""After so long a connection that sends nothing is closed."""


class _Handler(WSGIRequestHandler):
    timeout = _IDLE_SECONDS

    def log_message(self, *_: object) -> None:
        """Logs nothing: a scrape every few seconds is not worth a line."""


class _Server(ThreadingMixIn, WSGIServer):
    """Answers each request in a thread; closing it waits for those that are being answered."""

    def __init__(self, listening: socket.socket) -> None:
        super().__init__(listening.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.server_name, self.server_port = self.server_address[0], self.server_address[1]  # type: ignore[assignment]
        self.setup_environ()


def application_of(registry: CollectorRegistry) -> WSGIApplication:
    """Returns what answers requests."""
    metrics: WSGIApplication = make_wsgi_app(registry)

    def application(environment: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environment.get("PATH_INFO")
        if path == "/metrics":
            return metrics(environment, start)
        status, text = ("200 OK", b"alive\n") if path == "/health" else ("404 Not Found", b"/metrics, /health\n")
        start(status, [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(text)))])
        return [text]

    return application


def serve_until(stop: threading.Event, listening: socket.socket, registry: CollectorRegistry) -> None:
    """Answers requests until `stop`, and those to their end that are being answered then."""
    with _Server(listening) as server:
        server.set_app(application_of(registry))
        thread = threading.Thread(target=server.serve_forever, args=[0.1], name="export")
        thread.start()
        stop.wait()
        server.shutdown()
        thread.join()
