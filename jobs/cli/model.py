"""`discovery model`: the versions of the model, what made them, and which one serves."""

from pathlib import Path
from typing import Annotated

import typer

from jobs.cli.model_versions import Model, ModelVersions, open_models, stale_aliases
from jobs.cli.options import DEFAULT_CONFIG, Config, Json, Overlay, Reason, overlays_of, show
from jobs.cli.views import model as view
from jobs.cli.views.comparison import comparison
from models.registry.compare import compare as compare_lineages
from models.registry.lineage import Lineage, NoLineage

model = typer.Typer(no_args_is_help=True, help="Versions of the model: what made them, and which one serves.")
Name = Annotated[str, typer.Argument(metavar="VERSION", help="A number, or champion, challenger, previous.")]


@model.command("list")
def newest(
    config: Config = DEFAULT_CONFIG,
    overlay: Overlay = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 20,
    json: Json = False,  # noqa: FBT002
) -> None:
    """Every version, the newest first: its aliases, its run, how good it was judged to be, whether it serves."""
    versions = _models_of(config, overlay)
    found = versions.models()
    listed = [(one, versions.logged(one)) for one in found[:limit]]
    show(view.models(listed, stale_aliases(found), len(found) - len(listed)), as_json=json)


@model.command("show")
def show_one(
    version: Name,
    config: Config = DEFAULT_CONFIG,
    overlay: Overlay = None,
    settings: Annotated[bool, typer.Option("--settings", help="Only its settings, as YAML for a job.")] = False,  # noqa: FBT002
    json: Json = False,  # noqa: FBT002
) -> None:
    """All that made a version: inputs, settings, code, libraries, seeds, parent; and what it was judged at."""
    versions = _models_of(config, overlay)
    one = versions.find(version)
    if settings:
        show(view.settings(_lineage_of(versions, one)), as_json=json)
    else:
        show(view.model(one, versions.check_lineage(one)), as_json=json)


@model.command()
def compare(
    first: Name,
    second: Name,
    config: Config = DEFAULT_CONFIG,
    overlay: Overlay = None,
    json: Json = False,  # noqa: FBT002
) -> None:
    """What differs between two versions, and their judged figures side by side."""
    versions = _models_of(config, overlay)
    a, b = versions.find(first), versions.find(second)
    made = (_lineage_of(versions, a), _lineage_of(versions, b))
    show(comparison((a, b), made, compare_lineages(*made)), as_json=json)


@model.command()
@model.command("passport", hidden=True)  # its name of before
def card(
    version: Name,
    config: Config = DEFAULT_CONFIG,
    overlay: Overlay = None,
    out: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Folder for the pages; default: model-card-PRODUCT-VERSION here."),
    ] = None,
    json: Json = False,  # noqa: FBT002
) -> None:
    """Fetch the pages of a version: what it is, how good, beside the weeks before, with plots."""
    versions = _models_of(config, overlay)
    one = versions.find(version)
    folder = Path(f"model-card-{one.version.product}-{one.version.number}") if out is None else out
    show(view.card(one, folder, versions.fetch_model_card(one, folder)), as_json=json)


@model.command()
def promote(
    version: Name,
    config: Config = DEFAULT_CONFIG,
    overlay: Overlay = None,
    reason: Reason = "promoted by hand",
    json: Json = False,  # noqa: FBT002
) -> None:
    """Let the run of a version serve; going back to an older one also holds the next batch until `unhold`."""
    show(view.served(_models_of(config, overlay).promote(version, reason)), as_json=json)


@model.command()
def rollback(
    config: Config = DEFAULT_CONFIG,
    overlay: Overlay = None,
    reason: Reason = "rolled back by hand",
    json: Json = False,  # noqa: FBT002
) -> None:
    """Let the version before serve again, and hold the next batch until `unhold`."""
    show(view.served(_models_of(config, overlay).rollback(reason)), as_json=json)


def _models_of(config: Path, overlay: list[Path] | None) -> ModelVersions:
    return open_models(config, overlays_of(overlay))


def _lineage_of(versions: ModelVersions, one: Model) -> Lineage:
    """Raises NoLineage where there is none that can be believed."""
    checked = versions.check_lineage(one)
    if checked.lineage is None or checked.faults:
        raise NoLineage(f"version {one.version.number} has no lineage to rely on: {'; '.join(checked.faults)}")
    return checked.lineage
