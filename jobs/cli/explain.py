"""`discovery explain USER`: why a user has a list, or why a source is not in it (docs/explain.md)."""

from typing import Annotated

import typer

from conf.environment import Environment
from jobs.cli.context import typed_id
from jobs.cli.options import Cli, user_command
from jobs.cli.views import explain as view
from jobs.runtime.log import log
from publish.author import person
from publish.connect.redis_clients import StoreClient, redis_client
from publish.errors import StoreUnreachable


@user_command
def explain(
    cli: Cli,
    user: str,
    run: Annotated[str | None, typer.Option(metavar="RUN", help="Default: the run that serves the user.")] = None,
    source: Annotated[str | None, typer.Option(metavar="SOURCE", help="Why this source is, or is not, listed.")] = None,
) -> None:
    """Why a user has a list: what they did, what each of it adds to a score, what was better and left out."""
    from jobs.inspector.user import Inspection, explain_user  # here: they import scipy

    settings, environment = cli.settings(), Environment.read()
    who, asked = typed_id(settings, user, "user"), None if source is None else typed_id(settings, source, "source")
    inspection = Inspection.of(settings, environment, _redis(environment))
    found = explain_user(inspection, who, who=person(), run=run, source=asked)
    cli.show(view.explanation(found) if asked is None else view.source(found))


def _redis(environment: Environment) -> StoreClient | None:
    """Returns Redis; None where it does not answer: what a run's folder says of a user needs none."""
    try:
        return redis_client(environment.need_redis())
    except StoreUnreachable as error:
        log.warning("warning   %s; nothing is said of what is served now", error)
        return None
