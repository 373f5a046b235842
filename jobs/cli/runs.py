"""`discovery runs`, `verify` and `clear`: the runs that Redis knows."""

import typer

from jobs.cli.options import Cli, product_command
from jobs.cli.views import runs as view
from publish.errors import RunFailed


@product_command
def runs(cli: Cli) -> None:
    """Every run, the oldest first."""
    control = cli.open().control
    cli.show(view.runs(control.runs(), control.unreadable()))


@product_command
def verify(cli: Cli, run: str) -> None:
    """Read a run back from Redis and compare it with what was announced; exits 4 when it differs."""
    control = cli.open().control
    faults = control.verify(run)
    cli.show(view.verified(control.registry.get(run), faults))
    if faults:
        raise typer.Exit(RunFailed.exit_code)


@product_command
def clear(cli: Cli, run: str) -> None:
    """Delete the lists of a run that nothing needs."""
    cli.open().control.clear(run)
    cli.show(view.cleared(run))
