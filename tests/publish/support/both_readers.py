"""`Reader` and `AsyncReader` asked the same: what one answers, or raises, the other must too."""

import asyncio
from collections.abc import Collection
from typing import Any

import redis

from conf.connections import RedisConnection
from conf.ids import UserId
from publish.connect.async_reads import PipelinedReads
from publish.connect.redis_clients import StoreClient
from publish.errors import PublishError
from publish.read.async_reader import AsyncReader, AsyncReads
from publish.read.reader import Answer, Reader
from publish.read.rules import Command, Get


class FakeStore:
    """GET and HGET on entries of a dict (key, field), for both readers."""

    def __init__(self, entries: dict[tuple[str, str], bytes]) -> None:
        self._entries = entries

    def get(self, key: str) -> bytes | None:
        return self._entries.get((key, ""))

    def hget(self, key: str, field: str | bytes) -> bytes | None:
        return self._entries.get((key, field if isinstance(field, str) else field.decode()))

    def read(self, command: Command) -> asyncio.Future[Any]:
        reply = asyncio.get_running_loop().create_future()
        reply.set_result(self.get(command.key) if isinstance(command, Get) else self.hget(*command))
        return reply


class BothReaders:
    """Two readers of one product; close it."""

    def __init__(
        self, client: StoreClient, product: str, *, url: str | None = None, reads: AsyncReads | None = None, **own: Any
    ) -> None:
        """The asynchronous one reads by `reads`, or from the Redis of the URL; default: where the client is."""
        self._runner = asyncio.Runner()
        self._pipelined = None
        if reads is None:
            self._pipelined = PipelinedReads(RedisConnection.of(url or url_of(client)), timeout=60)
            reads = self._pipelined
        self.sync, self.asynchronous = Reader(client, product, **own), AsyncReader(reads, product, **own)

    def lookup(self, user_id: UserId, exclude: Collection[UserId] = (), n: int | None = None) -> Answer:
        """The answer of both; raises what both raise."""
        ours, theirs = self.each(user_id, exclude, n)
        if isinstance(ours, PublishError):
            assert (type(theirs), str(theirs)) == (type(ours), str(ours))
            raise ours
        assert isinstance(theirs, Answer)
        assert theirs._replace(age_seconds=ours.age_seconds) == ours  # the one was asked a moment later
        return ours

    def each(
        self, user_id: UserId, exclude: Collection[UserId] = (), n: int | None = None
    ) -> list[Answer | PublishError]:
        """The answer or the error of each."""
        found: list[Answer | PublishError] = []
        for ask in (self._ask, self.ask_async):
            try:
                found.append(ask(user_id, exclude, n))
            except PublishError as error:
                found.append(error)
        return found

    def close(self) -> None:
        """Closes the connections of the asynchronous one."""
        if self._pipelined is not None:
            self._runner.run(self._pipelined.close())
        self._runner.close()

    def _ask(self, user_id: UserId, exclude: Collection[UserId], n: int | None) -> Answer:
        return self.sync.lookup(user_id, exclude, n=n)

    def ask_async(self, user_id: UserId, exclude: Collection[UserId] = (), n: int | None = None) -> Answer:
        """The answer of the asynchronous one alone."""
        return self._runner.run(self.asynchronous.lookup(user_id, exclude, n))


def url_of(client: StoreClient) -> str:
    """The address of a client of a single server."""
    assert isinstance(client, redis.Redis)
    place = client.connection_pool.connection_kwargs
    return f"redis://{place.get('host', 'localhost')}:{place['port']}/{place.get('db') or 0}"
