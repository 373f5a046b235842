"""`discovery lookup USER`: what a user gets, as an online service reads it."""

from jobs.cli.options import Cli, user_command
from jobs.cli.views.lookup import answer
from publish.read.reader import Reader


@user_command
def lookup(cli: Cli, user: str) -> None:
    """What a user gets, from which run, and why."""
    context = cli.open()
    cli.show(answer(Reader(context.client, context.product).lookup(context.user_id(user))))
