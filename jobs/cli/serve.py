"""`discovery serve`: look-ups over HTTP, as a service."""

import ipaddress
from typing import TYPE_CHECKING, Annotated

import typer

from conf.environment import Environment
from conf.errors import ConfigError
from conf.load import load_settings
from conf.settings import Settings
from jobs.cli.listening import addresses, listening, url_of
from jobs.cli.options import DEFAULT_CONFIG, Config, Overlay
from jobs.runtime.log import log, log_step
from publish.connect.redis_clients import redis_client
from publish.errors import StoreUnreachable
from publish.serve.shared_counts import shared_counts

if TYPE_CHECKING:
    from publish.serve.service import ClosableSink

_MOST_PROCESSES = 256

Host = Annotated[str, typer.Option(help="Address to listen on; others than loopback want DISCOVERY_SERVE_TOKEN.")]
Port = Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65_535)]
Processes = Annotated[int, typer.Option(help="Processes that answer, one core each.", min=1, max=_MOST_PROCESSES)]
Exposures = Annotated[
    bool | None, typer.Option(help="Log what is answered to Kafka; default: exposures.enabled of the YAML.")
]
WithoutToken = Annotated[bool, typer.Option("--without-token", help="Answer everybody who reaches the address.")]
ReusePort = Annotated[
    bool, typer.Option("--reuse-port", help="Share the port with others that say so, to replace one by the next.")
]


def serve(
    config: Config = DEFAULT_CONFIG,
    overlay: Overlay = None,
    host: Host = "127.0.0.1",
    port: Port = 8080,
    processes: Processes = 1,
    exposures: Exposures = None,
    without_token: WithoutToken = False,  # noqa: FBT002
    reuse_port: ReusePort = False,  # noqa: FBT002
) -> None:
    """Answer look-ups over HTTP until stopped; SIGTERM lets every request end first."""
    settings, environment = load_settings(config, tuple(overlay or ())), Environment.read()
    store = environment.need_redis()
    _check_guard(host, environment, without_token=without_token)
    wanted = settings.exposures.enabled if exposures is None else exposures
    kept = _exposure_log(settings, environment) if wanted else None
    _warn_of_redis(environment)
    with shared_counts(processes), listening(host, port, reuse_port=reuse_port) as made:
        from publish.serve.app import Product  # here, since prometheus_client must be loaded behind shared_counts
        from publish.serve.service import Service

        guard = "a token is wanted" if environment.serve_tokens else "no token"
        log_step(
            "serve",
            f"{settings.product} at {url_of(made)}, processes: {processes}, {guard}, "
            f"exposures {'off' if kept is None else 'on'}",
        )
        tokens = [token.get_secret_value() for token in environment.serve_tokens]
        service = Service(Product(settings.product, settings.ids), settings.serve, store, tokens, kept)
        service.serve(made, processes)
    log_step("serve", f"{settings.product}: ended")


def _check_guard(host: str, environment: Environment, *, without_token: bool) -> None:
    """Raises ConfigError for an address that others reach, unless they need a token or everybody is welcome."""
    if environment.serve_tokens or without_token:
        return
    found = {str(address[0]) for _, address in addresses(host, None)}
    if not all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in found):
        raise ConfigError(
            f"--host {host}: others can reach it, and no token is set: export DISCOVERY_SERVE_TOKEN (`openssl rand "
            "-base64 32` makes one), or say --without-token where a proxy or the network lets in only who may look"
        )


def _exposure_log(settings: Settings, environment: Environment) -> "ClosableSink":
    from publish.exposures.log import ExposureLog  # here, since the service needs Kafka's client for nothing else

    return ExposureLog(environment.need_kafka(), settings.product, settings.exposures)


def _warn_of_redis(environment: Environment) -> None:
    """Warns where Redis does not answer; the service starts all the same, and /readyz says when it does."""
    try:
        redis_client(environment.need_redis()).close()
    except StoreUnreachable as fault:
        log.warning("warning   %s; until it answers every look-up is 503", fault)
