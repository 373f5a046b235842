"""`discovery dlq`: records that could not be loaded."""

from typing import Annotated

import typer

from jobs.cli.context import ProductContext
from jobs.cli.options import DEFAULT_CONFIG, Config, Json, Overlay, context_of, show
from jobs.cli.views import dead_letters as view
from publish.connect.clients import check_broker
from publish.operate.dead_letters import DeadLetters
from publish.store.redis_store import RedisStore

dlq = typer.Typer(no_args_is_help=True, help="Records that could not be loaded.")


@dlq.command("list")
def newest(
    config: Config = DEFAULT_CONFIG,
    overlay: Overlay = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 50,
    run: Annotated[str | None, typer.Option(help="Only those of this run.")] = None,
    json: Json = False,  # noqa: FBT002
) -> None:
    """When and why they were not loaded, and where they came from."""
    show(view.letters(_letters(context_of(config, overlay)).newest(limit=limit, run=run)), as_json=json)


@dlq.command("show")
def show_one(
    letter: Annotated[int, typer.Argument(metavar="ID")],
    config: Config = DEFAULT_CONFIG,
    overlay: Overlay = None,
    json: Json = False,  # noqa: FBT002
) -> None:
    """One of them, with its content where it can be read."""
    show(view.letter(_letters(context_of(config, overlay)).show(letter)), as_json=json)


@dlq.command()
def retry(
    letters: Annotated[list[int], typer.Argument(metavar="ID…")],
    config: Config = DEFAULT_CONFIG,
    overlay: Overlay = None,
    json: Json = False,  # noqa: FBT002
) -> None:
    """Send them again to where they belong, all or none; refused where that cannot help."""
    show(view.retried(_letters(context_of(config, overlay)).retry(letters)), as_json=json)


@dlq.command()
def drop(
    letter: Annotated[int, typer.Argument(metavar="ID")],
    config: Config = DEFAULT_CONFIG,
    overlay: Overlay = None,
    json: Json = False,  # noqa: FBT002
) -> None:
    """Delete this one and all before it: Kafka deletes from the front only."""
    show(view.dropped(_letters(context_of(config, overlay)).drop(letter)), as_json=json)


def _letters(context: ProductContext) -> DeadLetters:
    kafka = context.environment.need_kafka()
    check_broker(kafka)
    return DeadLetters(kafka, context.control.registry, RedisStore(context.client), context.settings.ids)
