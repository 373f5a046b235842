"""Look-ups for an online service in Python; docs/reader.md states the rules for every language.

A look-up costs one HGET. The pointer is read again when it is older than `cache_seconds`, and once more when a user has
no list, since the run may have been replaced meanwhile.
"""

import time
from collections.abc import Callable, Collection, Generator
from typing import Any, TypeVar

from conf.ids import UserId
from publish.clock import Clock, utc_now
from publish.connect.redis_clients import StoreClient
from publish.connect.store_scripts import store_faults
from publish.read.rules import DEFAULT_SURFACE, Answer, Command, ExposureSink, Get, LookupRules, NewerPointer
from publish.read.rules import check_surface as checked

__all__ = ["Answer", "Reader"]

_Found = TypeVar("_Found")


class Reader:
    """Looks up users of one product; as safe to share between threads as its client."""

    def __init__(
        self,
        client: StoreClient,
        product: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Clock = utc_now,
        cache_seconds: float = 2.0,
        exposures: ExposureSink | None = None,
    ) -> None:
        self._client, self._exposures = client, exposures
        self._rules = LookupRules(product, clock=clock, now=now, cache_seconds=cache_seconds)

    def lookup(
        self,
        user_id: UserId,
        exclude: Collection[UserId] = (),
        *,
        n: int | None = None,
        surface: str = DEFAULT_SURFACE,
    ) -> Answer:
        """Returns the user's answer without the sources in `exclude`: at most the run's `list_size`, best first.

        `n` asks for fewer; `surface` says where they will be seen, for the exposures. Raises BadUserId; BadLookup;
        Unavailable when nothing is published or Redis lost it; StoreUnreachable.
        """
        checked(surface)
        with store_faults():
            answer = self._driven(self._rules.lookup(user_id, exclude, n))
        if self._exposures is not None:
            self._exposures.log(answer, surface)
        return answer

    def _driven(self, steps: Generator[Command | NewerPointer, Any, _Found]) -> _Found:
        reply: Any = None
        try:
            while True:
                wanted = steps.send(reply)
                reply = self._driven(self._rules.refresh()) if isinstance(wanted, NewerPointer) else self._read(wanted)
        except StopIteration as done:
            found: _Found = done.value
            return found

    def _read(self, wanted: Command) -> bytes | str | None:
        if isinstance(wanted, Get):
            return self._client.get(wanted.key)
        return self._client.hget(wanted.key, wanted.field)
