"""The rival: one GET from Redis per request and its bytes, on the same stack (ASGI, uvicorn, uvloop, httptools).

    python -m benchmarks.serve.plain FD REDIS_URL [--pipelined]

With `--pipelined` it reads through the service's own pipelines, which redis-py does not have.
"""

import argparse
import asyncio
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import redis.asyncio as aio
import uvicorn

from conf.connections import RedisConnection
from publish.connect.async_reads import PipelinedReads
from publish.connect.store_scripts import as_bytes

PREFIX = "benchmark:plain:"
_JSON = (b"content-type", b"application/json")


def main() -> None:
    """Serves until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("fd", type=int)
    parser.add_argument("url")
    parser.add_argument("--pipelined", action="store_true")
    arguments = parser.parse_args()
    get = _pipelined(arguments.url) if arguments.pipelined else _by_redis_py(arguments.url)

    async def answer(scope: MutableMapping[str, Any], receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
        del receive
        body = await get(PREFIX + scope["path"].rpartition("/")[2])
        headers = [_JSON, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    config = uvicorn.Config(
        answer, loop="uvloop", http="httptools", ws="none", lifespan="off", log_config=None, access_log=False
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=arguments.fd)])


def _by_redis_py(url: str) -> Callable[[str], Awaitable[bytes]]:
    client = aio.Redis.from_url(url, socket_timeout=5)

    async def get(key: str) -> bytes:
        return as_bytes(await client.get(key) or b"")

    return get


def _pipelined(url: str) -> Callable[[str], Awaitable[bytes]]:
    reads = PipelinedReads(RedisConnection.of(url), timeout=5)

    def get(key: str) -> asyncio.Future[bytes]:
        return reads.read((key,))

    return get


if __name__ == "__main__":
    main()
