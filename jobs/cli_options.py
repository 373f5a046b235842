"""What all commands of `discovery` share: the options that name a product, and how an answer is shown."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from jobs.cli_view import View
from jobs.desk import Desk, open_desk

Config = Annotated[Path, typer.Option(envvar="DISCOVERY_CONFIG", help="The product's YAML.")]
Overlay = Annotated[list[Path] | None, typer.Option(help="YAML merged over it; repeatable.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Reason = Annotated[str, typer.Option(help="Why; kept with the change.")]
DEFAULT_CONFIG = Path("conf/prod_discovery.yml")


def desk_of(config: Path, overlay: list[Path] | None) -> Desk:
    """The desk of the product that the options name; raises ConfigError and StoreUnreachable."""
    return open_desk(config, overlays_of(overlay))


def overlays_of(overlay: list[Path] | None) -> tuple[Path, ...]:
    """The overlays as they were given."""
    return tuple(overlay) if overlay is not None else ()


def show(shown: View, *, as_json: bool) -> None:
    """Write an answer to stdout."""
    sys.stdout.write((shown.as_json() if as_json else shown.text) + "\n")
