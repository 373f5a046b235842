"""`discovery inspect`: pages that say what serves, why a user got a list, and what changed; they change nothing."""

import ipaddress
import socket
from pathlib import Path
from typing import Annotated

import typer

from conf.environment import Environment
from conf.errors import ConfigError, DiscoveryError
from conf.load import load_settings
from jobs.cli.options import DEFAULT_CONFIG, Overlay
from jobs.runtime.log import log, log_step

_BACKLOG = 128

Configs = Annotated[
    list[Path] | None, typer.Option("--config", envvar="DISCOVERY_CONFIG", help="A product's YAML; repeatable.")
]
Host = Annotated[str, typer.Option(help="Address to listen on; whoever reaches it sees users' lists.")]
Port = Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65_535)]
AllowHost = Annotated[
    list[str] | None,
    typer.Option("--allow-host", help="A name by which browsers may call it, e.g. that of a proxy; repeatable."),
]


class CannotListen(DiscoveryError):
    """The address cannot be listened on, for example because another process does."""


def inspect(
    config: Configs = None,
    overlay: Overlay = None,
    host: Host = "127.0.0.1",
    port: Port = 8090,
    allow_host: AllowHost = None,
) -> None:
    """Show what serves, why a user got a list and what changed, as pages on loopback until stopped."""
    from jobs.inspector.app import Inspector
    from jobs.inspector.guard import LOOPBACK
    from jobs.inspector.installation import Installation, Product
    from jobs.inspector.serve import serve

    environment = Environment.read()
    products = [Product(load_settings(path, tuple(overlay or ())), environment) for path in config or [DEFAULT_CONFIG]]
    _refuse_twins([product.name for product in products])
    with _listening(host, port) as listening:
        address, taken = listening.getsockname()[:2]
        is_loopback = ipaddress.ip_address(str(address).partition("%")[0]).is_loopback
        if not is_loopback:
            log.warning(
                "warning   --host %s: whoever reaches this address sees what users get and did, without a password; "
                "let a proxy with a login in front, and this on loopback",
                host,
            )
        shown = f"[{address}]" if ":" in str(address) else address
        log_step("inspect", f"{', '.join(product.name for product in products)} at http://{shown}:{taken}")
        inspector = Inspector(Installation(products))
        inspector.prepare_soon()
        names = (
            *LOOPBACK,
            host,
            *(() if is_loopback else (socket.gethostname(), socket.getfqdn())),
            *(allow_host or ()),
        )
        serve(inspector, listening, names, any_address=not is_loopback)
    log_step("inspect", "ended")


def _refuse_twins(names: list[str]) -> None:
    """Raises ConfigError for a product that is given twice."""
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        raise ConfigError(f"--config: product {twins[0]} is given twice; give each product's YAML once")


def _listening(host: str, port: int) -> socket.socket:
    """Returns a socket that listens; raises ConfigError and CannotListen."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"--host {host!r:.100}: is no address of this machine ({error})") from None
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise CannotListen(f"cannot listen on {host} port {port}: {error.strerror}; take another --port") from None
    return listening
