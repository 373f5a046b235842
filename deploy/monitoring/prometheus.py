"""Questions to a Prometheus, over its HTTP API."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import urlopen

from conf.errors import DiscoveryError

Series = Mapping[str, Any]
"""Labels as `metric`, and a `value` or `values`, each with its time."""
_SECONDS = 60.0


class PrometheusFailed(DiscoveryError):
    """Prometheus does not answer, or refuses a query."""


class Prometheus:
    """A Prometheus that somebody runs."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def at(self, query: str, time: float | None = None) -> list[Series]:
        """Returns each series' value at a time, or now; raises PrometheusFailed."""
        return self._ask("query", {"query": query} | ({} if time is None else {"time": f"{time:.3f}"}))

    def between(self, query: str, first: float, last: float, step: float) -> list[Series]:
        """Returns each series' values from a time to another, every so many seconds; raises PrometheusFailed."""
        times = {"start": f"{first:.3f}", "end": f"{last:.3f}", "step": f"{step:.3f}"}
        return self._ask("query_range", {"query": query} | times)

    def _ask(self, what: str, fields: Mapping[str, str]) -> list[Series]:
        try:
            with urlopen(f"{self._url}/api/v1/{what}?{urlencode(fields)}", timeout=_SECONDS) as answer:
                told = json.load(answer)["data"]
        except HTTPError as error:
            raise PrometheusFailed(f"Prometheus refuses {fields['query']}: {error.read().decode()[:500]}") from None
        except (URLError, TimeoutError, ConnectionError) as error:
            raise PrometheusFailed(f"no Prometheus answers at {self._url}: {error}") from None
        if told["resultType"] == "scalar":
            return [{"metric": {}, "value": told["result"]}]
        found: list[Series] = told["result"]
        return found
