"""`discovery wait`, `promote` and `rollback`: which run serves, and that it does is noted everywhere."""

from typing import Annotated

import typer

from jobs.cli.context import ProductContext
from jobs.cli.options import Cli, Reason, product_command
from jobs.cli.views import runs as view
from jobs.run.after_serving import errors_as_warnings, note_in_manifest, note_serving
from jobs.run.progress import ProgressLog
from jobs.storage.store import Storage
from models.registry import ModelRegistry
from publish.operate.wait import RunEnding
from publish.operate.wait import wait as wait_for


@product_command
def wait(
    cli: Cli,
    run: str,
    deadline: Annotated[float | None, typer.Option(help="Seconds to wait; default: the run's own deadline.")] = None,
) -> None:
    """Wait until a run serves: exits 0 serving, 3 held, 4 failed, 5 deadline passed."""
    context = cli.open()
    waited = wait_for(
        run, context.control.lifecycle, context.control.pointers, deadline=deadline, progress=ProgressLog()
    )
    if waited.ending is RunEnding.SERVING:
        note_that_serves(context, run)
    cli.show(view.waited(run, waited))
    raise typer.Exit(waited.ending.value)


@product_command
def promote(cli: Cli, run: str, reason: Reason = "promoted by hand") -> None:
    """Let a complete run serve."""
    context = cli.open()
    pointer = context.control.promote(run, reason=reason)
    note_that_serves(context, run)
    cli.show(view.pointer(pointer))


@product_command
def rollback(
    cli: Cli,
    to: Annotated[str | None, typer.Option(help="The run to go back to; default: the one before.")] = None,
    reason: Reason = "rolled back by hand",
) -> None:
    """Serve the run before, and hold the next batch until `unhold`."""
    context = cli.open()
    pointer = context.control.rollback(to, reason=reason)
    if pointer.treatment is not None:
        note_that_serves(context, pointer.treatment)
    cli.show(view.pointer(pointer))


def note_that_serves(context: ProductContext, run: str) -> None:
    """Notes in the registry and the work folder that the run serves; what serves does not depend on it."""
    home = Storage(context.environment.home)
    note_in_manifest(context.settings, home, context.control, run)
    with errors_as_warnings(run):  # a registry whose address is not known is a warning, too
        registry = ModelRegistry(context.environment.need_mlflow())
        note_serving(context.settings, home, context.control, registry, run)
