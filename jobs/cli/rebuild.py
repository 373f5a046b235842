"""`discovery rebuild`: what served, back from Kafka after the loss of Redis."""

from typing import Annotated

import typer

from jobs.cli.options import Cli, product_command
from jobs.cli.views.runs import hold_text, serving_line
from jobs.cli.views.view import NOTHING, View
from jobs.run.progress import ProgressLog
from jobs.runtime.log import log
from publish.connect.clients import check_broker, group_size
from publish.operate.rebuild import Rebuilt
from publish.operate.rebuild import rebuild as rebuild_lists
from publish.store.capacity import check_store
from publish.wire.keys import ProductKeys


@product_command
def rebuild(
    cli: Cli,
    deadline: Annotated[
        float | None, typer.Option(help="Seconds to wait for the loaders; default: the deadlines of the runs.")
    ] = None,
) -> None:
    """Restore runs, erasures and pointer from Kafka after Redis lost them: exits 0 done, 4 lost, 5 deadline passed."""
    context = cli.open()
    kafka = context.environment.need_kafka()
    check_broker(kafka)
    check_store(context.client, context.declared)
    if group_size(kafka, ProductKeys(context.product).loader_group) == 0:
        log.warning(
            "rebuild   no loader of %s runs, and it is they who load; start one: discovery load", context.product
        )
    cli.show(view(rebuild_lists(kafka, context.control, deadline=deadline, progress=ProgressLog("rebuild"))))


def view(rebuilt: Rebuilt) -> View:
    """Returns what serves after a rebuild."""
    pointer = rebuilt.pointer
    lines = [
        serving_line(pointer, None),
        f"roll back to  {pointer.previous if pointer.previous is not None else NOTHING}",
        f"hold          {hold_text(pointer)}",
    ]
    if rebuilt.dropped is not None:
        lines.append(f"lost          {rebuilt.dropped}")
    return View("\n".join(lines), {"pointer": pointer.model_dump(mode="json"), "lost": rebuilt.dropped})
