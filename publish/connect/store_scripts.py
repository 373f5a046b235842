"""Loads the Lua scripts of this package, and turns errors of Redis into our own."""

from contextlib import ContextDecorator
from importlib.resources import files
from types import TracebackType

import redis

from publish.connect.redis_clients import STORE_FAULTS, explain
from publish.errors import StoreUnreachable

_FAULTS_IN_SCRIPTS = {
    "OOM": redis.exceptions.OutOfMemoryError,
    "READONLY": redis.exceptions.ReadOnlyError,
    "NOPERM": redis.exceptions.NoPermissionError,
}


def text_of(*names: str) -> str:
    """Returns the source of a script: the files `lua/<name>.lua`, joined."""
    return "\n".join((files("publish.store") / "lua" / f"{name}.lua").read_text(encoding="utf-8") for name in names)


def as_bytes(reply: bytes | str) -> bytes:
    """Returns a reply as it came; raises TypeError for a client that decodes replies and so would break payloads."""
    if isinstance(reply, bytes):
        return reply
    raise TypeError("this client decodes replies; make it with publish.connect.redis_clients.redis_client")


class store_faults(ContextDecorator):  # noqa: N801 - reads as the function that contextlib would make, and is faster
    """Turns every error of Redis into StoreUnreachable, since none of them means that data is wrong."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, STORE_FAULTS):
            raise StoreUnreachable(f"Redis {explain(_inner(error))}") from None


def _inner(error: Exception) -> Exception:
    """Returns the error that Redis 6 wraps when a command fails in a script ("Error running script …: -OOM …")."""
    text = str(error)
    for code, kind in _FAULTS_IN_SCRIPTS.items():
        if type(error) is redis.ResponseError and f"-{code} " in text:
            return kind(text)
    return error
