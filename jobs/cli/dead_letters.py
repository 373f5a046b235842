"""`discovery dlq`: records that could not be loaded."""

from typing import Annotated

import typer

from jobs.cli.context import ProductContext
from jobs.cli.options import Cli, product_command
from jobs.cli.views import dead_letters as view
from publish.connect.clients import check_broker
from publish.operate.dead_letter_commands import DeadLetters
from publish.store.redis_store import RedisStore

dlq = typer.Typer(no_args_is_help=True, add_completion=False, help="Records that could not be loaded.")


@dlq.command("list")
@product_command
def newest(
    cli: Cli,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 50,
    run: Annotated[str | None, typer.Option(help="Only those of this run.")] = None,
) -> None:
    """When and why they were not loaded, and where they came from."""
    cli.show(view.letters(_letters(cli.open()).newest(limit=limit, run=run)))


@dlq.command("show")
@product_command
def show_one(cli: Cli, letter: Annotated[int, typer.Argument(metavar="ID")]) -> None:
    """One of them, with its content where it can be read."""
    cli.show(view.letter(_letters(cli.open()).show(letter)))


@dlq.command()
@product_command
def retry(cli: Cli, letters: Annotated[list[int], typer.Argument(metavar="ID…")]) -> None:
    """Send them again to where they belong, all or none; refused where that cannot help."""
    cli.show(view.retried(_letters(cli.open()).retry(letters)))


@dlq.command()
@product_command
def drop(cli: Cli, letter: Annotated[int, typer.Argument(metavar="ID")]) -> None:
    """Delete this one and all before it: Kafka deletes from the front only."""
    cli.show(view.dropped(_letters(cli.open()).drop(letter)))


def _letters(context: ProductContext) -> DeadLetters:
    kafka = context.environment.need_kafka()
    check_broker(kafka)
    return DeadLetters(kafka, context.control.registry, RedisStore(context.client), context.settings.ids)
