"""Look-ups for a service on asyncio: the same rules as those of `Reader`, many at a time."""

import asyncio
import time
from collections.abc import Callable, Collection, Generator, Sequence
from typing import Any, Protocol, TypeVar

from conf.ids import UserId
from publish.clock import Clock, utc_now
from publish.connect.store_scripts import store_faults
from publish.read.rules import Announced, Answer, Command, LookupRules, NewerPointer
from publish.read.served import ServedPointer

_Found = TypeVar("_Found")


class AsyncReads(Protocol):
    """Reads from Redis without blocking the event loop."""

    def read(self, command: Command) -> asyncio.Future[Any]:
        """Returns the reply, once it has come."""


class AsyncReader:
    """Looks up users of one product within one event loop; look-ups that wait for the same share the reply."""

    def __init__(
        self,
        reads: AsyncReads,
        product: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Clock = utc_now,
        cache_seconds: float = 2.0,
    ) -> None:
        self._reads = reads
        self._rules = LookupRules(product, clock=clock, now=now, cache_seconds=cache_seconds)
        self._announcements: dict[Announced, asyncio.Future[Any]] = {}
        self._refresh: tuple[int, asyncio.Task[ServedPointer] | None] = 0, None

    async def lookup(self, user_id: UserId, exclude: Collection[UserId] = (), n: int | None = None) -> Answer:
        """Returns what `Reader.lookup` returns, and raises what it raises."""
        with store_faults():
            return await self._driven(self._rules.lookup(user_id, exclude, n))

    async def lookups(self, asked: Sequence[tuple[UserId, Collection[UserId], int | None]]) -> list[Answer | Exception]:
        """Returns the answer, or the error, of each (user, exclude, n); what they read of Redis goes out together."""
        found = await asyncio.gather(*(self.lookup(*one) for one in asked), return_exceptions=True)
        for one in found:
            if isinstance(one, BaseException) and not isinstance(one, Exception):
                raise one
        return found  # type: ignore[return-value]

    @property
    def pointer_age(self) -> float | None:
        """Seconds since the pointer that is used was read; None before the first, and where nothing is published."""
        return self._rules.pointer_age

    async def pointer(self) -> ServedPointer:
        """Returns the pointer as Redis has it now; raises Unavailable, MalformedMessage and StoreUnreachable."""
        with store_faults():
            return await self._newer(self._rules.refreshes)

    async def _driven(self, steps: Generator[Any, Any, _Found]) -> _Found:
        reply: Any = None
        try:
            while True:
                wanted = steps.send(reply)
                if isinstance(wanted, NewerPointer):
                    reply = await self._newer(wanted.than)
                elif isinstance(wanted, Announced):
                    reply = await self._announced(wanted)
                else:
                    reply = await self._reads.read(wanted)
        except StopIteration as done:
            found: _Found = done.value
            return found

    async def _newer(self, than: int) -> ServedPointer:
        number, refresh = self._refresh
        if number <= than or refresh is None or refresh.done():
            refresh = asyncio.create_task(self._driven(self._rules.refresh()))
            self._refresh = self._rules.refreshes + 1, refresh
        return await asyncio.shield(refresh)

    async def _announced(self, wanted: Announced) -> Any:
        reply = self._announcements.get(wanted)
        if reply is None:
            reply = self._announcements[wanted] = self._reads.read(wanted)
            reply.add_done_callback(lambda _: self._announcements.pop(wanted))
        return await asyncio.shield(reply)
