"""Parses and checks REDIS_URL; refuses options that would change how the store is read.

Any part of a wrong URL may be a piece of a password, so no message here shows one.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

Way = Literal["server", "socket", "cluster", "sentinel"]

_WAYS: Mapping[str, Way] = {
    "redis": "server",
    "rediss": "server",
    "unix": "socket",
    "redis+cluster": "cluster",
    "rediss+cluster": "cluster",
    "redis+sentinel": "sentinel",
    "rediss+sentinel": "sentinel",
}
_FORMS = (
    "write redis://[user:password@]host:port/db, unix:///path?db=0, redis+cluster://host:port,host:port or "
    "redis+sentinel://host:port,host:port/service/db (rediss… for TLS)"
)
_OPTIONS: Mapping[Way, tuple[str, ...]] = {
    "server": ("db", "socket_timeout", "socket_connect_timeout"),
    "socket": ("db", "socket_timeout", "socket_connect_timeout"),
    "cluster": ("socket_timeout", "socket_connect_timeout"),
    "sentinel": ("socket_timeout", "socket_connect_timeout", "sentinel_username", "sentinel_password"),
}
_LONGEST_TIMEOUT = 600.0
_NUMBER = re.compile(r"0|[1-9][0-9]{0,5}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,3}(\.[0-9]{1,6})?", re.ASCII)
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", re.ASCII)
_OPTION_NAME = re.compile(r"[a-z_]{2,40}", re.ASCII)


@dataclass(frozen=True)
class RedisPlace:
    """The address of a store and how to connect to it."""

    way: Way
    tls: bool
    hosts: tuple[tuple[str, int], ...]
    """Hosts and ports; several for a cluster or Sentinels, none for a socket."""
    path: str
    """File of the socket; otherwise empty."""
    service: str
    """Name of the store at the Sentinels; otherwise empty."""
    database: int
    username: str | None = field(repr=False)
    password: str | None = field(repr=False)
    socket_timeout: float | None
    """Seconds to wait for a reply; None: the client's default."""
    connect_timeout: float | None
    """Seconds to wait for a connection; None: as for a reply."""
    sentinel_username: str | None = field(repr=False)
    sentinel_password: str | None = field(repr=False)

    @property
    def address(self) -> str:
        """The URL without user, password and options, for messages."""
        scheme = "unix" if self.way == "socket" else "rediss" if self.tls else "redis"
        scheme += f"+{self.way}" if self.way in ("cluster", "sentinel") else ""
        at = "***@" if self.username is not None or self.password is not None else ""
        hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)
        service = f"/{self.service}" if self.service else ""
        database = "" if self.way in ("cluster", "socket") else f"/{self.database}"
        return f"{scheme}://{at}{hosts}{self.path}{service}{database}"


def parse_redis_url(url: str) -> RedisPlace:
    """Returns the place in a URL; raises ValueError without any secret part of the URL."""
    parts = _split(url)
    way, options = _WAYS[parts.scheme], _options(parts)
    username, password = _credentials(parts.netloc)
    service, database = _service_and_database(way, parts.path, options.get("db"))
    return RedisPlace(
        way=way,
        tls=parts.scheme.startswith("rediss"),
        hosts=_hosts(way, parts.netloc.rpartition("@")[2]),
        path=_socket(parts.path) if way == "socket" else "",
        service=service,
        database=database,
        username=username,
        password=password,
        socket_timeout=_seconds(options, "socket_timeout"),
        connect_timeout=_seconds(options, "socket_connect_timeout"),
        sentinel_username=options.get("sentinel_username"),
        sentinel_password=options.get("sentinel_password"),
    )


def _split(url: str) -> SplitResult:
    if not url.isprintable() or any(char.isspace() for char in url):
        raise ValueError(f"holds spaces, line breaks or control characters; {_FORMS}")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(f"is not an address of Redis; {_FORMS}") from None
    if parts.scheme not in _WAYS or not url[len(parts.scheme) :].startswith("://"):
        raise ValueError(f"is not an address of Redis; {_FORMS}")
    if "@" in parts.path + parts.query or parts.fragment or url.endswith("#"):
        raise ValueError("has a / ? or # in its user or password, or a # behind them: write %2F, %3F and %23")
    return parts


def _credentials(netloc: str) -> tuple[str | None, str | None]:
    user, _, password = netloc.rpartition("@")[0].partition(":")
    try:
        username, secret = (unquote(word, errors="strict") if word else None for word in (user, password))
    except UnicodeDecodeError:
        raise ValueError("has a user or password that is not UTF-8 when its %XX are decoded") from None
    return username, secret


def _hosts(way: Way, netloc: str) -> tuple[tuple[str, int], ...]:
    if way == "socket":
        if netloc:
            raise ValueError("names a host before the socket's path; write unix:///path")
        return ()
    places = netloc.split(",")
    if way == "server" and len(places) > 1:
        raise ValueError("names several hosts; write redis+cluster:// or redis+sentinel://")
    if way == "server" and not netloc:
        return (("localhost", 6379),)
    return tuple(_host(place, 26379 if way == "sentinel" else 6379) for place in places)


def _host(place: str, default_port: int) -> tuple[str, int]:
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]+))(?::([1-9][0-9]{0,4}))?", place, re.ASCII)
    port = default_port if found is None or found[3] is None else int(found[3])
    if found is None or port > 65_535 or not (_is_ipv6(found[1]) if found[1] else _is_name(found[2])):
        raise ValueError("names a host or port that cannot be one; write host:port, [address]:port for IPv6")
    return found[1] or found[2], port


def _is_name(host: str) -> bool:
    labels = host.removesuffix(".").split(".")
    return len(host) <= 253 and all(_LABEL.fullmatch(label) for label in labels)


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _service_and_database(way: Way, path: str, option: str | None) -> tuple[str, int]:
    """Returns service and database number from the path or the option `db`; raises ValueError for both."""
    if way == "socket":
        return "", _database("" if option is None else option)
    if way == "sentinel":
        _, service, *rest = [unquote(part) for part in path.split("/")] if path else ("", "")
        if not service or not service.isprintable() or len(rest) > 1:
            raise ValueError("must name the service of its Sentinels: redis+sentinel://host:port,host:port/service/db")
        return service, _database(rest[0] if rest else "")
    number = path.removeprefix("/")
    if number and option is not None:
        raise ValueError("names its database twice: at the end of the address, or as db=, not both")
    database = _database(number if option is None else option)
    if way == "cluster" and database != 0:
        raise ValueError("names a database, and a Redis Cluster has only 0: leave it out")
    return "", database


def _database(text: str) -> int:
    if text and not _NUMBER.fullmatch(text):
        raise ValueError("must end with the number of its database, as in redis://host:port/0")
    return int(text) if text else 0


def _socket(path: str) -> str:
    file = unquote(path)
    if len(file) < 2 or not file.startswith("/") or "\0" in file:
        raise ValueError("must name the file of its socket: unix:///path")
    return file


def _options(parts: SplitResult) -> dict[str, str]:
    known = _OPTIONS[_WAYS[parts.scheme]]
    found: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in known or value == "":
            shown = f" {name}" if value and _OPTION_NAME.fullmatch(name) else ""
            raise ValueError(
                f"has an option{shown} that it cannot have: known are {', '.join(known)}; others of redis-py could "
                "change how replies are read, waited for or trusted (user, password and TLS: docs/security.md)"
            )
        if name in found:
            raise ValueError(f"has the option {name} twice")
        found[name] = value
    return found


def _seconds(options: Mapping[str, str], name: str) -> float | None:
    text = options.get(name)
    if text is None:
        return None
    if not _SECONDS.fullmatch(text) or not 0 < (seconds := float(text)) <= _LONGEST_TIMEOUT:
        raise ValueError(f"has a {name} that is not a number of seconds above 0 and up to {_LONGEST_TIMEOUT:g}")
    return seconds
