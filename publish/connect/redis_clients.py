"""Clients of Redis, of a Redis Cluster, and of a Redis that Sentinels know: bounded waiting, no secret in any text.

A cluster's client repeats a call whose answer was lost; for the others, the callers do. Everything written here may be
repeated: a script that moved a position finds it moved and answers STALE, one that swapped the pointer finds another
revision, and the caller looks again.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.exceptions import RedisClusterException
from redis.retry import Retry
from redis.sentinel import Sentinel

from conf.connections import RedisConnection
from publish.errors import StoreUnreachable

StoreClient = redis.Redis | redis.RedisCluster
"""What every store of ours works with; the two have the same commands, and no type in common."""

STORE_FAULTS = (redis.RedisError, RedisClusterException)
"""Every fault of these clients: the second, of a cluster whose slots nobody serves, is not a kind of the first."""


def redis_client(store: RedisConnection, *, timeout: float = 5.0) -> StoreClient:
    """A checked client (bytes in and out) of the store, `timeout` seconds a reply; raises StoreUnreachable."""
    try:
        client = _connect(store, timeout)
    except (ValueError, TypeError):  # their texts may quote the URL
        raise StoreUnreachable(
            f"REDIS_URL {store.address} is not an address of Redis; use redis://[user:password@]host:port/db, "
            "redis+cluster://host:port,host:port or redis+sentinel://host:port,host:port/service/db "
            "(rediss… for TLS)"
        ) from None
    except STORE_FAULTS as error:
        raise StoreUnreachable(f"Redis at {store.address}: {explain(error)}") from None
    try:
        client.ping()
    except STORE_FAULTS as error:
        client.close()
        raise StoreUnreachable(f"Redis at {store.address}: {explain(error)}") from None
    return client


def explain(error: Exception) -> str:
    """What a fault of Redis means and what to do about it; holds no secret, as Redis' own texts may quote arguments."""
    fault = _root(error)
    text = str(fault)
    if "cluster support disabled" in text:
        return "is no cluster; use redis:// for a single server"
    if isinstance(fault, redis.exceptions.NoPermissionError) or any(words in text for words in _DENIED_IN_SCRIPTS):
        named = _DENIED_COMMAND.search(text)
        what = f"the command {named[1]}" if named else "a command, or a key that it is about"
        return f"does not allow this user {what}; compare its rights with deploy/redis.acl (docs/security.md)"
    is_connection = isinstance(fault, redis.ConnectionError)
    if advice := next((advice for words, advice in _TLS_FAULTS.items() if is_connection and words in text), None):
        return advice
    for kind, advice in _REDIS_FAULTS.items():
        if isinstance(fault, kind):
            return advice
    return f"replied with {type(error).__name__} ({str(error).split(' ', 1)[0]}); look into its log"


def _root(error: BaseException) -> BaseException:
    """Why none of a cluster's nodes could be asked, which redis-py wraps; for all else the error itself."""
    inner = error.__cause__ or error.__context__
    return _root(inner) if isinstance(error, RedisClusterException) and isinstance(inner, STORE_FAULTS) else error


_REDIS_FAULTS: Mapping[type[Exception], str] = {
    redis.AuthenticationError: (
        "refuses the user or password; check REDIS_USERNAME and REDIS_PASSWORD, or the credentials in REDIS_URL"
    ),
    redis.exceptions.BusyLoadingError: "is still loading its data from disk; try again when it has finished",
    redis.exceptions.ReadOnlyError: "is a read-only replica; give the address of the master",
    redis.exceptions.OutOfMemoryError: "has reached maxmemory; clear runs or give it more memory",
    redis.sentinel.MasterNotFoundError: "has no master that its Sentinels agree on; check them and the service's name",
    redis.exceptions.ClusterError: "Cluster does not serve every slot now; wait for its fail-over or look at its nodes",
    RedisClusterException: "Cluster cannot be reached, or does not serve every slot; look at its nodes",
    redis.TimeoutError: "does not answer in time; see that it and the way to it are up, and both or none speak TLS",
    redis.ConnectionError: "cannot be reached; start it, or check REDIS_URL (host, port, TLS) and REDIS_SSL_… files",
}
_DENIED_COMMAND = re.compile(r"run the '([a-z|]+)' command")
_DENIED_IN_SCRIPTS = ("The user executing the script can't", "ACL failure in script")  # Redis 6, Redis 7
_TLS_FAULTS = {
    "CERTIFICATE_VERIFY_FAILED": "has a certificate that is not trusted; check REDIS_SSL_CA and the host in REDIS_URL",
    "WRONG_VERSION_NUMBER": "does not speak TLS on this port; check rediss:// and the port in REDIS_URL",
    "CERTIFICATE_REQUIRED": "wants a certificate of the client; set REDIS_SSL_CERTIFICATE and REDIS_SSL_KEY",
}


def _connect(store: RedisConnection, timeout: float) -> StoreClient:
    url = store.url.get_secret_value()
    parts = urlsplit(url)
    tls, _, way = parts.scheme.partition("+")
    options: dict[str, Any] = {
        "username": store.username,
        "password": None if store.password is None else store.password.get_secret_value(),
        "decode_responses": False,
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "ssl_ca_certs": store.ca_file,
        "ssl_certfile": store.certificate_file,
        "ssl_keyfile": store.key_file,
    }
    options = {name: value for name, value in options.items() if value is not None}
    match way:
        case "cluster":
            nodes = [ClusterNode(host, port) for host, port in _hosts(parts, 6379)]  # type: ignore[no-untyped-call]
            return redis.RedisCluster(startup_nodes=nodes, **options | _credentials(parts), ssl=tls == "rediss")
        case "sentinel":
            return _master(parts, options, use_tls=tls == "rediss")
        case _:
            return redis.Redis.from_url(url, **options, health_check_interval=30)


def _master(parts: SplitResult, options: dict[str, Any], *, use_tls: bool) -> redis.Redis:
    """Whatever server the Sentinels call the master, asked again with every new connection."""
    _, service, *rest = parts.path.split("/")
    if not service:
        raise ValueError("no service")
    own = {f"sentinel_{name}" for name in ("username", "password")}
    query = {name: value for name, value in parse_qsl(parts.query) if name in own}
    for_sentinels = {name: value for name, value in options.items() if name not in ("username", "password")}
    for_sentinels |= {name.removeprefix("sentinel_"): value for name, value in query.items()}
    for_sentinels |= {"ssl": use_tls, "retry": Retry(NoBackoff(), 0)}  # the next one is asked, and all of them again
    sentinel = Sentinel(_hosts(parts, 26379), sentinel_kwargs=for_sentinels)  # type: ignore[no-untyped-call]
    database = int(rest[0]) if rest and rest[0] else 0
    ours = {**options, **_credentials(parts), "db": database, "ssl": use_tls, "health_check_interval": 30}
    client: redis.Redis = sentinel.master_for(unquote(service), **ours)  # type: ignore[no-untyped-call]
    return client


def _credentials(parts: SplitResult) -> dict[str, str]:
    """User and password of the URL, where it has them."""
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    return {name: unquote(word) for name, word in (("username", user), ("password", password)) if word}


def _hosts(parts: SplitResult, default_port: int) -> list[tuple[str, int]]:
    """Host and port of each place in a URL that names several."""
    places = (urlsplit(f"//{place}") for place in parts.netloc.rpartition("@")[2].split(","))
    hosts = [(place.hostname or "", place.port or default_port) for place in places]
    if not all(host for host, _ in hosts):
        raise ValueError("a place without a host")
    return hosts
