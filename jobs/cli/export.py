"""`discovery export`: metrics of durable state for Prometheus, as a service or as a file."""

from pathlib import Path
from typing import Annotated

import typer

from conf.environment import Environment
from conf.errors import ConfigError
from conf.settings import Settings
from jobs.cli.listening import listening, url_of
from jobs.cli.options import Configs, Overlay, settings_of_each
from jobs.export.collect import Exporter
from jobs.export.server import serve_until
from jobs.export.textfile import check_textfile, write_textfile
from jobs.runtime.log import log, log_step
from jobs.storage.store import Storage
from publish.connect.redis_clients import redis_client
from publish.connect.rights import Role, check_rights
from publish.errors import StoreUnreachable
from publish.load.loader import stop_on_signals
from publish.wire.keys import ProductKeys

_TEXTFILE_SECONDS = 300.0
"""Nobody waits for a file as for a scrape, and it is made from nothing each time."""

Host = Annotated[str, typer.Option(help="Address to listen on; the metrics name no user and no source.")]
Port = Annotated[
    int | None, typer.Option(help="Port to listen on, 9109 unless told; 0 takes a free one.", min=0, max=65_535)
]
Textfile = Annotated[
    Path | None, typer.Option(help="Write them once into this .prom file for node_exporter instead of serving them.")
]
DEFAULT_PORT = 9_109


def export(
    config: Configs = None,
    overlay: Overlay = None,
    host: Host = "127.0.0.1",
    port: Port = None,
    textfile: Textfile = None,
) -> None:
    """Export metrics of runs, lists, gates, drift, outcomes and experiments to Prometheus until stopped."""
    if textfile is not None:
        if port is not None:
            raise ConfigError("--port and --textfile: serve the metrics or write them; for both start two of it")
        check_textfile(textfile)
    products = settings_of_each(config, overlay)
    environment = Environment.read()
    store, home = environment.need_redis(), Storage(environment.home)
    _check_rights(products, environment)
    names = ", ".join(one.product for one in products)
    if textfile is not None:
        write_textfile(textfile, Exporter.of(products, home, store, seconds=_TEXTFILE_SECONDS).registry)
        log_step("export", f"{names}: {textfile} is written")
        return
    stop = stop_on_signals()
    with listening(host, DEFAULT_PORT if port is None else port) as made:
        log_step("export", f"{names} at {url_of(made)}/metrics")
        serve_until(stop, made, Exporter.of(products, home, store).registry)
    log_step("export", f"{names}: ended")


def _check_rights(products: list[Settings], environment: Environment) -> None:
    """Raises StoreUnreachable where Redis forbids to read; that it is away is only said, and exported."""
    try:
        client = redis_client(environment.need_redis())
    except StoreUnreachable as fault:
        log.warning("warning   %s; until it answers, what it knows is not exported", fault)
        return
    try:
        for one in products:
            check_rights(client, Role.EXPORTER, ProductKeys(one.product))
    finally:
        client.close()
