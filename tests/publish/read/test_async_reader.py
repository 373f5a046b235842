"""Both readers on every kind of Redis, and what only the asynchronous one has: many look-ups at a time."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pytest
import redis

from conf.connections import RedisConnection
from deploy.servers.redis_server import RedisServer
from publish.connect.async_reads import PipelinedReads
from publish.connect.redis_clients import StoreClient, redis_client
from publish.errors import StoreUnreachable, Unavailable
from publish.read.async_reader import AsyncReader
from publish.read.rules import Announced, Answer, Command, Get, HashGet
from tests.publish.read.test_reader_vectors import VECTORS, stored
from tests.publish.support.both_readers import BothReaders, FakeStore, url_of
from tests.publish.support.certificates import Authority
from tests.publish.support.pushing import eventually
from tests.publish.support.samples import closed_port
from tests.publish.support.tls_proxy import tls_before
from tests.support.redis_cluster import RedisCluster
from tests.support.redis_sentinel import WatchedRedis

_Found = TypeVar("_Found")
PRODUCT = "groups"


def fill(client: StoreClient) -> None:
    """What the examples say that Redis holds."""
    for (key, field), value in stored().items():
        client.hset(key, field, value) if field else client.set(key, value)


def check(reader: BothReaders) -> None:
    """Every example, by both readers."""
    for row in VECTORS["answers"]:
        ours = reader.lookup(row["user"], row["exclude"])
        assert (ours.arm, ours.run, ours.kind) == (row["arm"], row["run"], row["kind"])
        assert [str(source) for source in ours.source_ids] == row["sources"]
    reader.close()


def test_the_examples_on_a_fake() -> None:
    store = FakeStore(stored())
    check(BothReaders(store, PRODUCT, reads=store))  # type: ignore[arg-type]


def test_the_examples_on_redis_alone(clean_redis: redis.Redis) -> None:
    fill(clean_redis)
    check(BothReaders(clean_redis, PRODUCT))


def test_the_examples_on_a_cluster(cluster: RedisCluster, store: StoreClient) -> None:
    fill(store)
    check(BothReaders(store, PRODUCT, url=cluster.url))


def test_the_examples_behind_sentinel_and_again_after_its_fail_over(tmp_path: Path) -> None:
    with WatchedRedis(tmp_path) as servers, redis_client(RedisConnection.of(servers.url)) as client:
        fill(client)
        assert client.wait(1, 180_000) == 1
        reader = BothReaders(client, PRODUCT, url=servers.url)
        assert reader.lookup("1").kind == "list"
        servers.kill_master()
        with pytest.raises(StoreUnreachable):  # at once; redis-py's own client repeats a call behind Sentinels
            reader.ask_async("1")
        servers.wait_until_promoted()
        eventually(lambda: all(isinstance(found, Answer) for found in reader.each("1")))
        check(reader)


def asked(url: str, question: Callable[[AsyncReader, "Watched"], Coroutine[Any, Any, _Found]]) -> _Found:
    """What a question to an asynchronous reader gives."""

    async def ask() -> _Found:
        reads = PipelinedReads(RedisConnection.of(url), timeout=60)
        try:
            watched = Watched(reads)
            return await question(AsyncReader(watched, PRODUCT, clock=lambda: 0.0), watched)
        finally:
            await reads.close()

    return asyncio.run(ask())


class Watched:
    """Reads that are counted."""

    def __init__(self, reads: PipelinedReads) -> None:
        self.commands: list[Command] = []
        self._reads = reads

    def read(self, command: Command) -> asyncio.Future[Any]:
        self.commands.append(command)
        return self._reads.read(command)


def test_look_ups_that_wait_for_the_pointer_share_it_and_its_runs_announcement(clean_redis: redis.Redis) -> None:
    fill(clean_redis)

    async def many(reader: AsyncReader, watched: Watched) -> list[Command]:
        await asyncio.gather(*(reader.lookup(user) for user in ("1", "2", "8") * 50))
        return watched.commands

    commands = asked(url_of(clean_redis), many)
    assert Counter(map(type, commands)) == {Get: 1, Announced: 1, HashGet: 150}


def test_who_found_nothing_waits_for_a_pointer_that_was_read_later(clean_redis: redis.Redis) -> None:
    fill(clean_redis)

    async def unknown(reader: AsyncReader, watched: Watched) -> int:
        await reader.lookup("1")
        first = reader.lookup("77")
        await asyncio.gather(first, *(reader.lookup("78") for _ in range(50)))
        return [type(command) for command in watched.commands].count(Get)

    assert 2 <= asked(url_of(clean_redis), unknown) <= 4


def test_what_is_asked_at_once_is_one_pipeline(clean_redis: redis.Redis) -> None:
    fill(clean_redis)
    before = clean_redis.info("stats")["total_commands_processed"], clean_redis.info("clients")["connected_clients"]

    async def many(reader: AsyncReader, _: Watched) -> None:
        await asyncio.gather(*(reader.lookup(str(user)) for user in (1, 2, 3, 8) * 250))
        assert clean_redis.info("clients")["connected_clients"] <= before[1] + 2

    asked(url_of(clean_redis), many)
    assert clean_redis.info("stats")["total_commands_processed"] > before[0] + 1_000


def test_one_look_up_that_fails_fails_no_other(clean_redis: redis.Redis) -> None:
    fill(clean_redis)
    clean_redis.delete("{groups.2}:run-new:b:0")
    clean_redis.set("{groups.2}:run-new:b:0", "no hash")

    async def both(reader: AsyncReader, _: Watched) -> list[Any]:
        return await asyncio.gather(*(reader.lookup(user) for user in "123"), return_exceptions=True)

    one, two, three = asked(url_of(clean_redis), both)
    assert isinstance(one, StoreUnreachable)
    assert (two.kind, three.kind) == ("list", "fallback")


def test_a_redis_that_was_away_is_asked_again(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        fill(client)

        async def before_and_after(reader: AsyncReader, _: Watched) -> str:
            await reader.lookup("1")
            server.kill()
            found = await asyncio.gather(*(reader.lookup("1") for _ in range(20)), return_exceptions=True)
            assert {type(error) for error in found} == {StoreUnreachable}
            server.start()
            fill(client)
            return (await reader.lookup("1")).kind

        assert asked(server.url, before_and_after) == "list"


def test_nothing_published_is_asked_for_again(clean_redis: redis.Redis) -> None:
    async def twice(reader: AsyncReader, _: Watched) -> str:
        for _ in range(2):
            with pytest.raises(Unavailable):
                await reader.lookup("1")
        fill(clean_redis)
        return (await reader.lookup("1")).kind

    assert asked(url_of(clean_redis), twice) == "list"


def test_a_redis_that_hangs_is_told_in_time(tmp_path: Path) -> None:
    async def ask() -> None:
        reads = PipelinedReads(RedisConnection.of(server.url), timeout=3)
        reader = AsyncReader(reads, PRODUCT)
        await reader.lookup("1")
        os.kill(server.pid, signal.SIGSTOP)
        try:
            found = await asyncio.gather(*(reader.lookup("1") for _ in range(200)), return_exceptions=True)
            assert {type(error) for error in found} == {StoreUnreachable}
            assert "does not answer in time" in str(found[0])
        finally:
            os.kill(server.pid, signal.SIGCONT)
        assert (await reader.lookup("1")).kind == "list"
        await reads.close()

    with RedisServer(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        fill(client)
        asyncio.run(ask())


def test_no_redis_at_all() -> None:
    async def ask(reader: AsyncReader, _: Watched) -> None:
        with pytest.raises(StoreUnreachable, match="cannot be reached"):
            await reader.lookup("1")

    asked(f"redis://127.0.0.1:{closed_port()}/0", ask)


def test_over_tls_with_the_files_of_the_settings(clean_redis: redis.Redis, authority: Authority) -> None:
    fill(clean_redis)
    ours, port = authority.sign("client"), int(urlsplit(url_of(clean_redis)).port or 0)

    async def ask(connection: RedisConnection) -> str:
        reads = PipelinedReads(connection, timeout=60)
        try:
            return (await AsyncReader(reads, PRODUCT).lookup("1")).kind
        finally:
            await reads.close()

    with tls_before(port, authority.sign("server"), clients=authority.ca_file) as outside:
        files = {"ca_file": authority.ca_file, "certificate_file": ours.certificate, "key_file": ours.key}
        said = {"url": f"rediss://127.0.0.1:{outside}/0", **{name: str(path) for name, path in files.items()}}
        assert asyncio.run(ask(RedisConnection.model_validate(said))) == "list"
        with pytest.raises(StoreUnreachable, match="REDIS_SSL_"):
            asyncio.run(ask(RedisConnection.of(f"rediss://127.0.0.1:{outside}/0")))


def test_through_a_socket(tmp_path: Path) -> None:
    with RedisServer(tmp_path, settings={"unixsocket": "redis.sock"}) as server:
        with redis.Redis.from_url(server.url) as client:
            fill(client)

        async def ask(reader: AsyncReader, _: Watched) -> str:
            return (await reader.lookup("1")).kind

        assert asked(f"unix://{tmp_path}/redis.sock", ask) == "list"
