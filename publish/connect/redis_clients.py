"""Clients of a Redis server, a Redis Cluster, or a master behind Sentinels; timeouts everywhere, no secrets in texts.

A cluster's client repeats a call whose reply was lost; for the others, the callers do. Every write here may be
repeated: a script that has moved a position or swapped the pointer replies STALE the second time, and the caller reads
again.
"""

import re
from collections.abc import Mapping
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.exceptions import RedisClusterException
from redis.retry import Retry
from redis.sentinel import Sentinel

from conf.connections import RedisConnection
from conf.redis_url import RedisPlace
from publish.errors import StoreUnreachable

StoreClient = redis.Redis | redis.RedisCluster
"""The client type of every store here; the two classes share commands but no base class."""

STORE_FAULTS = (redis.RedisError, RedisClusterException)
"""All errors of these clients; RedisClusterException is not a RedisError."""

HEALTH = 30
"""Seconds without use after which a connection is checked before the next call."""
_ONCE = Retry(NoBackoff(), 0)
"""No retries in the client: callers know what may be repeated. For Sentinels, the next one is tried."""


def redis_client(store: RedisConnection, *, timeout: float = 5.0) -> StoreClient:
    """Returns a client (bytes in and out) after a ping; `timeout` seconds per reply; raises StoreUnreachable."""
    try:
        client = _connect(store, timeout)
    except STORE_FAULTS as error:
        raise StoreUnreachable(f"Redis at {store.address}: {explain(error)}") from None
    try:
        client.ping()
    except STORE_FAULTS as error:
        client.close()
        raise StoreUnreachable(f"Redis at {store.address}: {explain(error)}") from None
    return client


def explain(error: Exception) -> str:
    """Returns what a Redis error means and what to do.

    Redis' own texts may quote arguments, so no secret is repeated.
    """
    fault = _root(error)
    text = str(fault)
    if "cluster support disabled" in text:
        return "is not a cluster; use redis:// for a single server"
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
    """Returns the error that redis-py wrapped when no node of a cluster could be reached; otherwise `error`."""
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
    place, options = store.place, connection_options(store, timeout)
    match place.way:
        case "cluster":
            nodes = [ClusterNode(host, port) for host, port in place.hosts]  # type: ignore[no-untyped-call]
            return redis.RedisCluster(startup_nodes=nodes, **options)
        case "sentinel":
            return _master(place, options)
    return redis.Redis(**server_options(place), **options, health_check_interval=HEALTH, retry=_ONCE)


def server_options(place: RedisPlace) -> dict[str, Any]:
    """Returns where a single server is: the socket's file or host and port, and the number of its database."""
    if place.way == "socket":
        return {"unix_socket_path": place.path, "db": place.database}
    host, port = place.hosts[0]
    return {"host": host, "port": port, "db": place.database}


def connection_options(store: RedisConnection, timeout: float) -> dict[str, Any]:
    """Returns user, password, timeouts and TLS as redis-py's clients take them, those for asyncio too."""
    place = store.place
    waits = place.socket_timeout if place.socket_timeout is not None else timeout
    secret = None if store.password is None else store.password.get_secret_value()
    options: dict[str, Any] = {
        "username": place.username if place.username is not None else store.username,
        "password": place.password if place.password is not None else secret,
        "decode_responses": False,
        "socket_timeout": waits,
        "socket_connect_timeout": place.connect_timeout if place.connect_timeout is not None else waits,
    }
    if place.tls:
        files = {"ca_certs": store.ca_file, "certfile": store.certificate_file, "keyfile": store.key_file}
        options |= {"ssl": True, **{f"ssl_{name}": file for name, file in files.items() if file is not None}}
    return options


def _master(place: RedisPlace, options: dict[str, Any]) -> redis.Redis:
    """Returns a client of the current master; each new connection asks the Sentinels for it again."""
    theirs = {**options, "username": place.sentinel_username, "password": place.sentinel_password, "retry": _ONCE}
    sentinel = Sentinel(place.hosts, sentinel_kwargs=theirs)  # type: ignore[no-untyped-call]
    ours = {**options, "db": place.database, "health_check_interval": HEALTH}
    client: redis.Redis = sentinel.master_for(place.service, **ours)  # type: ignore[no-untyped-call]
    return client
