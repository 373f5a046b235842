"""`discovery serve` as a process of its own, on lists that a test put into Redis."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any, NamedTuple

TOKEN = "a-token-of-the-tests-0123456789"
START_SECONDS = 180


class Reply(NamedTuple):
    """A response that was read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def word(self) -> str:
        """Why there is no answer."""
        return str(self.data["error"])


class RunningService:
    """A service that was started; its requests say the token, unless told otherwise."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process, self.log = process, log
        self.port = 0

    def wait_until_it_listens(self) -> None:
        """Returns when the log says where it listens."""
        deadline = time.monotonic() + START_SECONDS
        while " at http://" not in self.said:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.02)
        self.port = int(self.said.split(" at http://")[1].split(",")[0].rpartition(":")[2])
        while not self._answers():
            assert time.monotonic() < deadline, self.said
            time.sleep(0.02)

    @property
    def said(self) -> str:
        """Its log."""
        return self.log.read_text()

    def ask(
        self, path: str, *, method: str = "GET", body: Any = None, token: str | None = TOKEN, **headers: str
    ) -> Reply:
        """The reply to one request on a connection of its own."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=180)
        try:
            connection.request(method, path, encoded(body), {**authorized(token), **headers})
            return replied(connection.getresponse())
        finally:
            connection.close()

    def error(self, path: str = "/v1/lists/1") -> str | None:
        """Why a request is not answered now; None where it is."""
        try:
            reply = self.ask(path)
        except OSError as broken:  # a connection that was refused, and closed before the request had come
            return repr(broken)
        return None if reply.status == 200 else reply.word

    def post(self, body: Any, **options: Any) -> Reply:
        """The reply to a batch."""
        return self.ask("/v1/lists", method="POST", body=body, **options)

    def raw(self, sent: bytes) -> bytes:
        """What comes back for bytes that may be no HTTP, until the connection is closed."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=180) as connection:
            received = b""
            with suppress(OSError):  # it has heard enough
                connection.sendall(sent)
            with suppress(ConnectionResetError):
                while piece := connection.recv(65_536):
                    received += piece
            return received

    def count(self, sample: str) -> float:
        """A sample of the metrics, by its name and some of its labels: `name{a="b"`; 0 where there is none."""
        name, _, labels = sample.partition("{")
        wanted = labels.split(",") if labels else []
        lines = [line for line in self.ask("/metrics").body.decode().splitlines() if line.startswith(name + "{")]
        return sum(float(line.rpartition(" ")[2]) for line in lines if all(label in line for label in wanted))

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Lets it end; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(180)

    def _answers(self) -> bool:
        try:
            return self.ask("/healthz").status == 200
        except OSError:
            return False


@contextmanager
def serving(folder: Path, redis_url: str, *flags: str, **options: Any) -> Iterator[RunningService]:
    """`starting`, on a free port, until it listens; it does not wait for anybody who asks /readyz."""
    with starting(folder, redis_url, *flags, **options) as service:
        service.wait_until_it_listens()
        yield service


@contextmanager
def starting(
    folder: Path,
    redis_url: str,
    *flags: str,
    product: str = "groups",
    ids: str = "int64",
    bounds: dict[str, Any] | None = None,
    variables: dict[str, str] | None = None,
) -> Iterator[RunningService]:
    """The process, which may have ended already."""
    folder.mkdir(parents=True, exist_ok=True)
    config, log = folder / "serve.yml", folder / f"serve-{time.monotonic_ns()}.log"
    tree = {
        "product": product,
        "ids": ids,
        "datasets": {"events": {"clicks": {"path": "clicks"}}},
        "interactions": {"event_weights": {"click": 1.0}},
        "serve": {
            "drain_delay_seconds": 0.0,
            "redis_timeout_seconds": 60.0,
            "keep_alive_seconds": 600,
            **(bounds or {}),
        },
    }
    config.write_text(json.dumps(tree))
    argv = [sys.executable, "-m", "jobs.cli", "serve", "--config", str(config)]
    argv += [] if "--port" in flags else ["--port", "0"]
    environment = {**os.environ, "REDIS_URL": redis_url, "DISCOVERY_HOME": str(folder), "DISCOVERY_SERVE_TOKEN": TOKEN}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*argv, *flags],
            env={**environment, **(variables or {})},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield RunningService(process, log)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def authorized(token: str | None) -> dict[str, str]:
    """The header that says a token."""
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def encoded(body: Any) -> bytes | None:
    """A body as bytes: bytes as they are, other things as JSON."""
    return body if body is None or isinstance(body, bytes) else json.dumps(body).encode()


def replied(response: HTTPResponse) -> Reply:
    """A response, read to its end."""
    return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
