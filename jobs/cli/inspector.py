"""`discovery inspect`: pages that say what serves, why a user got a list, and what changed; they change nothing."""

import ipaddress
import socket
from typing import Annotated

import typer

from conf.environment import Environment
from jobs.cli.listening import listening, url_of
from jobs.cli.options import Configs, Overlay, settings_of_each
from jobs.runtime.log import log, log_step

Host = Annotated[str, typer.Option(help="Address to listen on; whoever reaches it sees users' lists.")]
Port = Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65_535)]
AllowHost = Annotated[
    list[str] | None,
    typer.Option("--allow-host", help="A name by which browsers may call it, e.g. that of a proxy; repeatable."),
]


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
    products = [Product(settings, environment) for settings in settings_of_each(config, overlay)]
    with listening(host, port) as made:
        address = made.getsockname()[0]
        is_loopback = ipaddress.ip_address(str(address).partition("%")[0]).is_loopback
        if not is_loopback:
            log.warning(
                "warning   --host %s: whoever reaches this address sees what users get and did, without a password; "
                "let a proxy with a login in front, and this on loopback",
                host,
            )
        log_step("inspect", f"{', '.join(product.name for product in products)} at {url_of(made)}")
        inspector = Inspector(Installation(products))
        inspector.prepare_soon()
        names = (
            *LOOPBACK,
            host,
            *(() if is_loopback else (socket.gethostname(), socket.getfqdn())),
            *(allow_host or ()),
        )
        serve(inspector, made, names, any_address=not is_loopback)
    log_step("inspect", "ended")
