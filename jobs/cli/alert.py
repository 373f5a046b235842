"""`discovery alert`: who is told when a run stops, and whether that works."""

from typing import Annotated

import typer

from conf.environment import Environment
from conf.errors import ConfigError
from jobs.cli.options import Cli, product_command
from jobs.cli.views.view import View
from jobs.run.alert import try_of
from jobs.run.hook import Hook, Sent


@product_command
def alert(cli: Cli, test: Annotated[bool, typer.Option("--test", help="Send a test alert.")] = False) -> None:  # noqa: FBT002
    """Who is told when a gate stops a run; `--test` tells them something, and exits 1 when it does not arrive."""
    settings = cli.settings()
    hook = Hook.of(settings.alerts, Environment.read().webhook)
    if not test:
        cli.show(View("\n".join(hook.places) or "nobody is told", {"places": list(hook.places)}))
        return
    if not hook.places:
        raise ConfigError("nobody is told: set alerts.webhook or alerts.command in the YAML, or ALERTS_WEBHOOK")
    sent = hook.tell(try_of(settings.product).document)
    cli.show(View("\n".join(map(_line, sent)), [{"to": one.to, "fault": one.fault} for one in sent]))
    if any(one.fault for one in sent):
        raise typer.Exit(1)


def _line(sent: Sent) -> str:
    return f"sent to {sent.to}" if sent.fault is None else f"NOT sent to {sent.to}: {sent.fault}"
