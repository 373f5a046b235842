"""Lists by the HTTP service (`discovery serve`), as an app asks for them: one request per visit, some at a time.

With a simulated clock it is set to the moment of each visit, and they come one by one.

ServiceFailed     the service did not answer a look-up
"""

import datetime as dt
import json
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import quote, urlsplit

from conf.errors import DiscoveryError
from conf.ids import IdKind
from conf.simulated_clock import SimulatedClock
from deploy.demo.lookups import Asked, Told

_SECONDS = 10
_TRIES = 3


class ServiceFailed(DiscoveryError):
    """The service did not answer a look-up."""


@dataclass
class HttpLists:
    """Implements `deploy.demo.lookups.Lists` over connections that stay open, one per thread."""

    url: str
    """E.g. http://127.0.0.1:8080."""
    ids: IdKind
    token: str | None = None
    at_once: int = 4
    """Look-ups at a time."""
    clock: SimulatedClock | None = None
    _mine: threading.local = field(default_factory=threading.local)
    _open: list[HTTPConnection] = field(default_factory=list)

    def answers(self, asked: Sequence[Asked]) -> list[Told]:
        """Returns an answer for each, in the order of `asked`. Raises ServiceFailed."""
        try:
            with ThreadPoolExecutor(1 if self.clock is not None else self.at_once) as threads:
                return list(threads.map(self._answer, asked))
        finally:
            for connection in self._open:
                connection.close()
            self._open.clear()
            self._mine = threading.local()

    def _answer(self, asked: Asked) -> Told:
        if self.clock is not None:
            self.clock.set(dt.datetime.fromtimestamp(asked.moment / 1_000_000, dt.UTC))
        status, body = self._get(f"/v1/lists/{quote(str(asked.user_id), safe='')}?surface={quote(asked.surface)}")
        try:
            found: Mapping[str, Any] = json.loads(body)
            if status != 200:
                raise ServiceFailed(f"{self.url}: user {asked.user_id}: {status} {found['error']}: {found['message']}")
            sources = [int(source) if self.ids == "int64" else source for source in found["source_ids"]]
            return Told(found["arm"], found["kind"], found["run"], sources, found["share_bp"])
        except (KeyError, TypeError, ValueError):
            raise ServiceFailed(
                f"{self.url}: user {asked.user_id}: {status} with a strange body {body!r:.200}"
            ) from None

    def _get(self, path: str) -> tuple[int, bytes]:
        """Returns status and body; a connection that the service has closed meanwhile is opened again."""
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        for last in range(_TRIES, 0, -1):
            connection = self._connection()
            try:
                connection.request("GET", path, headers=headers)
                reply = connection.getresponse()
                return reply.status, reply.read()
            except (OSError, HTTPException) as error:
                connection.close()
                if last == 1:
                    raise ServiceFailed(f"{self.url} does not answer: {error or type(error).__name__}") from error
        raise AssertionError("the last try returns or raises")

    def _connection(self) -> HTTPConnection:
        with suppress(AttributeError):
            return self._mine.connection  # type: ignore[no-any-return]
        place = urlsplit(self.url)
        kind = HTTPSConnection if place.scheme == "https" else HTTPConnection
        self._mine.connection = kind(place.netloc, timeout=_SECONDS)
        self._open.append(self._mine.connection)
        return self._mine.connection  # type: ignore[no-any-return]
