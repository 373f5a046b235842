"""Sockets that services of `discovery` listen on."""

import socket
from typing import Any

from conf.errors import ConfigError, DiscoveryError

_BACKLOG = 2_048


class CannotListen(DiscoveryError):
    """The address cannot be listened on, for example because another process does."""


def listening(host: str, port: int, *, reuse_port: bool | None = None) -> socket.socket:
    """Returns a socket that listens; raises ConfigError and CannotListen.

    reuse_port: whether others may listen there, too; None where the command has no option for it.
    """
    family, address = addresses(host, port)[0]
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind(address)
        made.listen(_BACKLOG)
    except OSError as error:
        made.close()
        hint = ", or --reuse-port with every service that shares it" if reuse_port is not None else ""
        raise CannotListen(
            f"cannot listen on {host} port {port}: {error.strerror}; take another --port{hint}"
        ) from None
    return made


def addresses(host: str, port: int | None) -> list[tuple[socket.AddressFamily, tuple[Any, ...]]]:
    """Returns family and address of everything that a name stands for; raises ConfigError."""
    try:
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"--host {host!r:.100}: is no address of this machine ({error})") from None
    return [(family, address) for family, _, _, _, address in places]


def url_of(made: socket.socket) -> str:
    """Returns where a socket listens."""
    address, port = made.getsockname()[:2]
    return f"http://{f'[{address}]' if ':' in address else address}:{port}"
