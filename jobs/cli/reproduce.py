"""`discovery reproduce RUN`: made again from the manifest alone, and compared (docs/model.md)."""

from typing import Annotated

import typer

from conf.environment import Environment
from conf.load import load_settings
from jobs.cli.options import DEFAULT_CONFIG, Config, Json, Overlay, overlays_of, show
from jobs.run.run_id import RunId
from publish.errors import RunFailed

Anyway = Annotated[bool, typer.Option("--anyway", help="Also where something certainly changes the result.")]
Keep = Annotated[bool, typer.Option("--keep", help="Keep what was made again, below reproduced/ in the work folder.")]


def reproduce(
    run: str,
    config: Config = DEFAULT_CONFIG,
    overlay: Overlay = None,
    anyway: Anyway = False,  # noqa: FBT002
    keep: Keep = False,  # noqa: FBT002
    json: Json = False,  # noqa: FBT002
) -> None:
    """Make a run again from its manifest and compare every bit; needs Spark; exits 4 when it is not the same."""
    from jobs.cli.views.reproduction import reproduction
    from jobs.reproduce.reproduction import (
        reproduce as make_again,  # here, because the other commands work without Spark
    )

    product = load_settings(config, overlays_of(overlay)).product
    result = make_again(Environment.read(), product, str(RunId.parse(run)), anyway=anyway, keep=keep)
    show(reproduction(result), as_json=json)
    if not result.reproduced:
        raise typer.Exit(RunFailed.exit_code)
