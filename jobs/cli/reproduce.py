"""`discovery reproduce RUN`: made again from the manifest alone, and compared (docs/model.md)."""

from typing import Annotated

import typer

from conf.environment import Environment
from jobs.cli.options import Cli, product_command
from jobs.run.run_id import RunId
from publish.errors import RunFailed

Anyway = Annotated[bool, typer.Option("--anyway", help="Also where something certainly changes the result.")]
Keep = Annotated[bool, typer.Option("--keep", help="Keep what was made again, below reproduced/ in the work folder.")]


@product_command
def reproduce(cli: Cli, run: str, *, anyway: Anyway = False, keep: Keep = False) -> None:
    """Make a run again from its manifest and compare every bit; needs Spark; exits 4 when it is not the same."""
    from jobs.cli.views.reproduction import reproduction
    from jobs.reproduce.reproduction import (
        reproduce as make_again,  # here, because the other commands work without Spark
    )

    product = cli.settings().product
    result = make_again(Environment.read(), product, str(RunId.parse(run)), anyway=anyway, keep=keep)
    cli.show(reproduction(result))
    if not result.reproduced:
        raise typer.Exit(RunFailed.exit_code)
