"""Reads from Redis on asyncio: what is asked for at about the same time goes out as one pipeline.

A service that awaits one GET per request spends more on redis-py than on HTTP; a batch of them costs little more than
one. While `_MOST` batches are under way the next one gathers, so batches grow with the load and no request waits
otherwise.
"""

import asyncio
from collections.abc import Hashable
from typing import Any, NamedTuple

import redis.asyncio as aio
from hiredis import pack_command
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from conf.connections import RedisConnection
from publish.connect.redis_clients import HEALTH, connection_options, server_options

_MOST = 2
"""Batches under way at once to one server: the next is sent while the replies of the one before are read."""


class _Asked(NamedTuple):
    words: tuple[str | bytes, ...]
    reply: asyncio.Future[Any]


class PipelinedReads:
    """Reads from a server, a cluster or the master behind Sentinels; made and used within one event loop."""

    def __init__(self, store: RedisConnection, *, timeout: float) -> None:
        """Connects with the first read; `timeout` seconds per reply, unless the URL says other."""
        self._client = _client(store, timeout)
        self._lanes: dict[Hashable, _Lane] = {}
        self._alone = None if isinstance(self._client, aio.RedisCluster) else _ServerLane(self._client)

    def read(self, command: tuple[str | bytes, ...]) -> asyncio.Future[Any]:
        """Returns the reply to GET (a key) or HGET (a key and a field); it fails with redis-py's errors."""
        lane = self._alone or self._lane_of(command[0])
        return lane.ask(("GET", *command) if len(command) == 1 else ("HGET", *command))

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    def _lane_of(self, key: str | bytes) -> "_Lane":
        """Returns the lane to the node that has a key; one for all while the cluster is not known."""
        cluster = self._client
        assert isinstance(cluster, aio.RedisCluster)
        slots = cluster.nodes_manager.slots_cache.get(cluster.keyslot(key))
        node = slots[0].name if slots else None
        lane = self._lanes.get(node)
        if lane is None:
            lane = self._lanes[node] = _ClusterLane(cluster)
        return lane


class _Lane:
    """The way to one server: batches, of which few are under way."""

    def __init__(self) -> None:
        self._next: list[_Asked] = []
        self._free = _MOST
        self._waits = False
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, words: tuple[str | bytes, ...]) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        reply = loop.create_future()
        self._next.append(_Asked(words, reply))
        if self._free and not self._waits:
            self._waits = True
            loop.call_soon(self._send)  # behind the requests that were received together
        return reply

    async def replies(self, batch: list[_Asked]) -> None:
        """Answers every command of the batch; raises redis-py's errors for those that it could not."""
        raise NotImplementedError

    def _send(self) -> None:
        self._waits = False
        if self._next and self._free:
            batch, self._next = self._next, []
            self._free -= 1
            task = asyncio.get_running_loop().create_task(self._run(batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, batch: list[_Asked]) -> None:
        try:
            await self.replies(batch)
        except Exception as error:  # noqa: BLE001  # whatever it is, none of them may wait for ever
            waiting, self._next = self._next, []  # they would wait as long once more
            _fail([*batch, *waiting], error)
        finally:
            self._free += 1
            self._send()


class _ServerLane(_Lane):
    """Batches on connections of a pool; redis-py's own pipeline costs thrice as much for each."""

    def __init__(self, client: aio.Redis) -> None:
        super().__init__()
        self._pool = client.connection_pool

    async def replies(self, batch: list[_Asked]) -> None:
        connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
        try:
            commands = b"".join([pack_command(asked.words) for asked in batch])  # type: ignore[arg-type]
            await connection.send_packed_command(commands)
            for asked in batch:
                await _answer(asked, connection)
        except BaseException:
            await connection.disconnect(nowait=True)  # replies may be on their way
            raise
        finally:
            await self._pool.release(connection)


async def _answer(asked: _Asked, connection: Any) -> None:
    try:
        reply = await connection.read_response()
    except aio.ResponseError as error:
        _fail([asked], error)
    else:
        if not asked.reply.done():
            asked.reply.set_result(reply)


class _ClusterLane(_Lane):
    """Batches by redis-py's pipeline, which follows slots that moved."""

    def __init__(self, client: aio.RedisCluster) -> None:
        super().__init__()
        self._cluster = client

    async def replies(self, batch: list[_Asked]) -> None:
        pipeline = self._cluster.pipeline(transaction=False)
        for asked in batch:
            pipeline.execute_command(*asked.words)
        for asked, reply in zip(batch, await pipeline.execute(raise_on_error=False), strict=True):
            if isinstance(reply, Exception):
                _fail([asked], reply)
            elif not asked.reply.done():
                asked.reply.set_result(reply)


def _fail(batch: list[_Asked], error: Exception) -> None:
    for asked in batch:
        if not asked.reply.done():
            asked.reply.set_exception(error)


def _client(store: RedisConnection, timeout: float) -> aio.Redis | aio.RedisCluster:
    place, options = store.place, connection_options(store, timeout)
    once = Retry(NoBackoff(), 0)
    match place.way:
        case "cluster":
            return aio.RedisCluster(startup_nodes=[ClusterNode(host, port) for host, port in place.hosts], **options)
        case "sentinel":
            theirs = {**options, "username": place.sentinel_username, "password": place.sentinel_password}
            sentinel = Sentinel(place.hosts, sentinel_kwargs={**theirs, "retry": once})  # type: ignore[no-untyped-call]
            ours = {**options, "db": place.database, "health_check_interval": HEALTH, "retry": once}
            master: aio.Redis = sentinel.master_for(place.service, **ours)
            return master
    return aio.Redis(**server_options(place), **options, health_check_interval=HEALTH, retry=once)
