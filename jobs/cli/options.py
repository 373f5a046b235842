"""What all commands of `discovery` share: the options that name a product, and how an answer is shown."""

import itertools
import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from conf.errors import ConfigError
from jobs.cli.context import ProductContext, open_context
from jobs.cli.views.view import View

Config = Annotated[Path, typer.Option(envvar="DISCOVERY_CONFIG", help="The product's YAML.")]
Overlay = Annotated[list[Path] | None, typer.Option(help="YAML merged over it; repeatable.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
DEFAULT_CONFIG = Path("conf/prod_discovery.yml")
_NEGATIVE = re.compile(r"-[0-9]+")


class UserCommand(TyperCommand):
    """A command about a user, whose id may begin with a minus: `lookup -1` works, as `lookup -- -1` does."""

    ignore_unknown_options = True

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As any command, and what looks like an option is one, unless it is a number or stands behind `--`."""
        before = list(itertools.takewhile(lambda arg: arg != "--", args))
        rest = super().parse_args(ctx, args)
        user = ctx.params.get("user")
        if isinstance(user, str) and user.startswith("-") and user in before and not _NEGATIVE.fullmatch(user):
            raise typer.BadParameter(f"there is no option {user}; a user of that name is written behind --", ctx)
        return rest


_LONGEST_REASON = 1_000


def _checked_reason(text: str) -> str:
    """Return a reason as it was given: readers get that of a hold with each pointer, so it is short; raises
    ConfigError.
    """
    if len(text) > _LONGEST_REASON:
        raise ConfigError(f"--reason: {len(text):,} characters; say it in {_LONGEST_REASON:,}")
    return text


Reason = Annotated[str, typer.Option(help="Why; kept with the change.", callback=_checked_reason)]


def context_of(config: Path, overlay: list[Path] | None) -> ProductContext:
    """Return the context of the product that the options name; raises ConfigError and StoreUnreachable."""
    return open_context(config, overlays_of(overlay))


def overlays_of(overlay: list[Path] | None) -> tuple[Path, ...]:
    """Return the overlays as they were given."""
    return tuple(overlay) if overlay is not None else ()


def show(shown: View, *, as_json: bool) -> None:
    """Write an answer to stdout, at once: a reader who has gone (`| head -1`) is noticed here and not at exit."""
    sys.stdout.write((shown.as_json() if as_json else shown.text) + "\n")
    sys.stdout.flush()
