"""The app of the demo asks a service: each visit once, answers in the order of visits, failures by name."""

import datetime as dt
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from conf.simulated_clock import SimulatedClock
from deploy.demo.http_lists import HttpLists, ServiceFailed
from deploy.demo.lookups import Asked, Told


class _Service(BaseHTTPRequestHandler):
    """Answers as `discovery serve`; user 13 is unknown, and every fifth answer ends its connection."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        place = urlsplit(self.path)
        user, surface = unquote(place.path.removeprefix("/v1/lists/")), parse_qs(place.query)["surface"][0]
        self.asked.append((f"{user} {surface}", self.headers["Authorization"]))
        time.sleep(0.001 * (hash(user) % 3))
        if user == "13":
            self._send(503, {"error": "unavailable", "message": "nothing is published"})
        elif user == "14":
            self._send(200, {"kind": "list"})
        else:
            self._send(200, {"arm": "treatment", "kind": "list", "run": "r", "source_ids": [user, "7"], "share_bp": 9})

    def _send(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if len(self.asked) % 5 == 0:
            self.close_connection = True  # without a word, as when a process ends
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    """The address of the service."""
    _Service.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Service) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_answers_are_in_the_order_of_visits(url: str) -> None:
    users = [user for user in range(-5, 60) if user not in (13, 14)]
    found = HttpLists(url, "int64").answers([Asked(user, "feed") for user in users])
    assert found == [Told("treatment", "list", "r", [user, 7], 9) for user in users]
    assert sorted(text for text, _ in _Service.asked) == sorted(f"{user} feed" for user in users)


def test_a_simulated_clock_has_the_time_of_each_visit(url: str, tmp_path: Path) -> None:
    monday = dt.datetime(2026, 11, 16, tzinfo=dt.UTC)
    clock = SimulatedClock(tmp_path / "clock.json")
    moments = [monday + dt.timedelta(minutes=30 * number) for number in range(40)]
    asked = [Asked(100 + number, "feed", int(at.timestamp() * 1e6)) for number, at in enumerate(moments)]
    HttpLists(url, "int64", clock=clock).answers(asked)
    assert [text for text, _ in _Service.asked] == [f"{user} feed" for user, _, _ in asked]
    assert moments[-1] <= clock.now() < moments[-1] + dt.timedelta(hours=1)


def test_names_and_a_token(url: str) -> None:
    lists = HttpLists(url, "string", token="secret")
    for _ in range(2):
        (told,) = lists.answers([Asked("ü/ ?#%", "side.bar")])
        assert told.source_ids == ["ü/ ?#%", "7"]
    assert _Service.asked == [("ü/ ?#% side.bar", "Bearer secret")] * 2


@pytest.mark.parametrize(
    ("user", "told"), [(13, "13: 503 unavailable: nothing is published"), (14, "14: 200 with a str")]
)
def test_what_is_no_answer_is_named(url: str, user: int, told: str) -> None:
    with pytest.raises(ServiceFailed, match=told):
        HttpLists(url, "int64").answers([Asked(user, "feed")])


def test_a_service_that_is_not_there_is_named() -> None:
    with pytest.raises(ServiceFailed, match=r"127\.0\.0\.1:1 does not answer"):
        HttpLists("http://127.0.0.1:1", "int64").answers([Asked(1, "feed")])
