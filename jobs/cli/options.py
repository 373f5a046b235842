"""What all commands of `discovery` share: the options that name a product, and how an answer is shown."""

import inspect
import itertools
import re
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import update_wrapper
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec

import typer
from typer.core import TyperCommand

from conf.errors import ConfigError
from conf.load import load_settings
from conf.settings import Settings
from jobs.cli.context import ProductContext, open_context
from jobs.cli.views.view import View

Config = Annotated[Path, typer.Option(envvar="DISCOVERY_CONFIG", help="The product's YAML.")]
Configs = Annotated[
    list[Path] | None, typer.Option("--config", envvar="DISCOVERY_CONFIG", help="A product's YAML; repeatable.")
]
Overlay = Annotated[list[Path] | None, typer.Option(help="YAML merged over it; repeatable.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
DEFAULT_CONFIG = Path("conf/prod_discovery.yml")
_NEGATIVE = re.compile(r"-[0-9]+")
_Own = ParamSpec("_Own")


def settings_of_each(configs: list[Path] | None, overlays: list[Path] | None) -> list[Settings]:
    """Returns the settings of each product; raises ConfigError, also for a product that is named twice."""
    products = [load_settings(config, tuple(overlays or ())) for config in configs or [DEFAULT_CONFIG]]
    twice = sorted(name for name, times in Counter(one.product for one in products).items() if times > 1)
    if twice:
        raise ConfigError(f"product {', '.join(twice)} is in more than one --config; name each product once")
    return products


@dataclass(frozen=True)
class Cli:
    """The options of every command: which product it is about, and in which form its answer is wanted."""

    config: Path
    overlays: tuple[Path, ...]
    as_json: bool

    def settings(self) -> Settings:
        """Returns the settings of the product; raises ConfigError."""
        return load_settings(self.config, self.overlays)

    def open(self) -> ProductContext:
        """Returns the connections of the product; raises ConfigError and StoreUnreachable."""
        return open_context(self.config, self.overlays)

    def show(self, shown: View) -> None:
        """Writes an answer to stdout, at once: a reader who has gone (`| head -1`) is noticed here and not at exit."""
        sys.stdout.write((shown.as_json() if self.as_json else shown.text) + "\n")
        sys.stdout.flush()


def product_command(command: Callable[Concatenate[Cli, _Own], None]) -> Callable[..., None]:
    """Returns a command for Typer: its own options beside those of every command, which it gets as one Cli.

    Typer takes options from a signature, in this order: --config and --overlay, its own, --json.
    """

    def run(*, config: Config = DEFAULT_CONFIG, overlay: Overlay = None, json: Json = False, **own: Any) -> None:
        command(Cli(config, tuple(overlay or ()), json), **own)  # type: ignore[call-arg]

    _, *named = inspect.signature(command).parameters.values()
    config, overlay, json, _ = inspect.signature(run).parameters.values()
    own = (option.replace(kind=option.KEYWORD_ONLY) for option in named)
    update_wrapper(run, command)
    run.__signature__ = inspect.Signature([config, overlay, *own, json])  # type: ignore[attr-defined]
    return run


class UserCommand(TyperCommand):
    """A command about a user, whose id may begin with a minus: `lookup -1` works, as `lookup -- -1` does."""

    ignore_unknown_options = True

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses as any command, where what looks like an option is one, unless it is a number or behind `--`."""
        before = list(itertools.takewhile(lambda arg: arg != "--", args))
        rest = super().parse_args(ctx, args)
        user = ctx.params.get("user")
        if isinstance(user, str) and user.startswith("-") and user in before and not _NEGATIVE.fullmatch(user):
            raise typer.BadParameter(f"there is no option {user}; a user of that name is written behind --", ctx)
        return rest


def user_command(command: Callable[Concatenate[Cli, _Own], None]) -> Callable[..., None]:
    """Returns what `product_command` does, for a command about a user, which becomes a UserCommand."""
    run = product_command(command)
    run.command_class = UserCommand  # type: ignore[attr-defined]  # the table of commands asks for it
    return run


_LONGEST_REASON = 1_000


def _checked_reason(text: str) -> str:
    """Returns a reason as it was given; raises ConfigError where it is long, for readers get it with each pointer."""
    if len(text) > _LONGEST_REASON:
        raise ConfigError(f"--reason: {len(text):,} characters; say it in {_LONGEST_REASON:,}")
    return text


Reason = Annotated[str, typer.Option(help="Why; kept with the change.", callback=_checked_reason)]
