"""`discovery model`: the versions of the model, what made them, and which one serves."""

from pathlib import Path
from typing import Annotated

import typer

from jobs.cli.model_versions import open_models, stale_aliases
from jobs.cli.options import Cli, Reason, product_command
from jobs.cli.views import model as view
from jobs.cli.views.comparison import comparison
from models.registry.compare import compare as compare_lineages

model = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Versions of the model: what made them, and which one serves."
)
Name = Annotated[str, typer.Argument(metavar="VERSION", help="A number, or champion, challenger, previous.")]


@model.command("list")
@product_command
def newest(cli: Cli, limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 20) -> None:
    """Every version, the newest first: its aliases, its run, how good it was judged to be, whether it serves."""
    versions = open_models(cli.open(), cli.config)
    found = versions.models()
    listed = [(one, versions.logged(one)) for one in found[:limit]]
    cli.show(view.version_list(listed, stale_aliases(found), len(found) - len(listed)))


@model.command("show")
@product_command
def show_one(
    cli: Cli,
    version: Name,
    *,
    settings: Annotated[bool, typer.Option("--settings", help="Only its settings, as YAML for a job.")] = False,
) -> None:
    """All that made a version: inputs, settings, code, libraries, seeds, parent; and what it was judged at."""
    versions = open_models(cli.open(), cli.config)
    one = versions.find(version)
    if settings:
        cli.show(view.settings(versions.checked_lineage(one)))
    else:
        cli.show(view.version_details(one, versions.check_lineage(one)))


@model.command()
@product_command
def compare(cli: Cli, first: Name, second: Name) -> None:
    """What differs between two versions, and their judged figures side by side."""
    versions = open_models(cli.open(), cli.config)
    a, b = versions.find(first), versions.find(second)
    made = (versions.checked_lineage(a), versions.checked_lineage(b))
    cli.show(comparison((a, b), made, compare_lineages(*made)))


@model.command()
@model.command("passport", hidden=True)  # its name of before
@product_command
def card(
    cli: Cli,
    version: Name,
    out: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Folder for the pages; default: model-card-PRODUCT-VERSION here."),
    ] = None,
) -> None:
    """Fetch the pages of a version: what it is, how good, beside the weeks before, with plots."""
    versions = open_models(cli.open(), cli.config)
    one = versions.find(version)
    folder = Path(f"model-card-{one.version.product}-{one.version.number}") if out is None else out
    cli.show(view.card(one, folder, versions.fetch_model_card(one, folder)))


@model.command()
@product_command
def promote(cli: Cli, version: Name, reason: Reason = "promoted by hand") -> None:
    """Let the run of a version serve; going back to an older one also holds the next batch until `unhold`."""
    cli.show(view.served(open_models(cli.open(), cli.config).promote(version, reason)))


@model.command()
@product_command
def rollback(cli: Cli, reason: Reason = "rolled back by hand") -> None:
    """Let the version before serve again, and hold the next batch until `unhold`."""
    cli.show(view.served(open_models(cli.open(), cli.config).rollback(reason)))
