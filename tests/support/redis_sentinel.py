"""A Redis with a replica, and a Sentinel that makes the replica the master when the master dies."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from deploy.servers.errors import ServerStartFailed
from deploy.servers.ports import LOOPBACK
from deploy.servers.redis_server import RedisServer, find_redis
from deploy.servers.server import EmbeddedServer, Startable

SERVICE = "lists"


class Sentinel(EmbeddedServer):
    """One Sentinel that watches a server; alone it is its own majority, as in no production."""

    name = "sentinel"

    def __init__(self, folder: Path, watched: RedisServer, *, start_seconds: float = 180) -> None:
        super().__init__(folder, start_seconds=start_seconds)
        self._watched = watched

    @property
    def environment(self) -> dict[str, str]:
        """`REDIS_URL`."""
        return {"REDIS_URL": f"redis+sentinel://{LOOPBACK}:{self.ports[0]}/{SERVICE}/0"}

    def _prepare(self) -> None:
        """Its file of settings, which it rewrites with what it learns."""
        lines = [
            f"port {self.ports[0]}",
            f"bind {LOOPBACK}",
            f"sentinel monitor {SERVICE} {LOOPBACK} {self._watched.ports[0]} 1",
            f"sentinel down-after-milliseconds {SERVICE} 600000",  # a master that stands still for a while is none
            f"sentinel failover-timeout {SERVICE} 10000",
        ]
        (self.folder / "sentinel.conf").write_text("\n".join(lines) + "\n")

    def _command(self) -> list[str | Path]:
        return [find_redis(), "sentinel.conf", "--sentinel"]

    def _is_ready(self) -> bool:
        with redis.Redis(LOOPBACK, self.ports[0], socket_timeout=2, socket_connect_timeout=2) as client:
            try:
                return bool(client.sentinel_master(SERVICE)["num-slaves"] > 0)
            except (redis.ConnectionError, redis.TimeoutError):
                return False


class WatchedRedis(Startable):
    """A master, its replica and their Sentinel."""

    def __init__(self, folder: Path) -> None:
        self.master = RedisServer(folder / "master")
        self._folder = folder
        self.replica: RedisServer
        self.sentinel: Sentinel

    @property
    def url(self) -> str:
        """The address for `publish.connect.redis_clients.redis_client`."""
        return self.sentinel.environment["REDIS_URL"]

    def start(self) -> None:
        """Starts the three and returns when the replica follows and the Sentinel knows both."""
        self.master.start()
        follow = {"replicaof": f"{LOOPBACK} {self.master.ports[0]}"}
        self.replica = RedisServer(self._folder / "replica", settings=follow)
        self.replica.start()
        self._wait_for_link("up")
        self.sentinel = Sentinel(self._folder / "sentinel", self.master)
        self.sentinel.start()

    def kill_master(self) -> None:
        """Kills the master, of which the Sentinel makes sure for two seconds."""
        with redis.Redis(LOOPBACK, self.sentinel.ports[0]) as client:
            client.sentinel_set(SERVICE, "down-after-milliseconds", 2_000)
        self.master.kill()

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """The replica gets nothing more from the master within the block."""
        with redis.Redis.from_url(self.replica.url) as replica, redis.Redis.from_url(self.master.url) as master:
            replica.config_set("masterauth", "wrong")  # refused by a master that wants no password
            master.client_kill_filter(_type="replica")
            self._wait_for_link("down")
            yield
            replica.config_set("masterauth", "")

    def wait_until_promoted(self) -> None:
        """Returns when the Sentinel has made the replica the master, which ends the connections of its clients."""
        with redis.Redis.from_url(self.replica.url, retry=Retry(NoBackoff(), 3)) as client:
            self._wait("the replica was not made the master", lambda: client.info("replication")["role"] == "master")

    def stop(self) -> None:
        """Ends all three."""
        for name in ("sentinel", "replica", "master"):
            if (server := getattr(self, name, None)) is not None:
                server.kill()

    def _wait_for_link(self, state: str) -> None:
        with redis.Redis.from_url(self.replica.url) as client:
            self._wait(
                f"the replica's link to its master was not {state}",
                lambda: client.info("replication")["master_link_status"] == state,
            )

    def _wait(self, fault: str, truth: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 180
        while not truth():
            if time.monotonic() > deadline:
                raise ServerStartFailed(f"{fault} in 180 s")
            time.sleep(0.05)
