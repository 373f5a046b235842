"""`discovery`: the operator's commands. They need Redis (and Kafka to keep what they change); never Spark."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from conf.errors import DiscoveryError
from conf.share import Share
from jobs import cli_view as view
from jobs.desk import Desk, open_desk
from jobs.log import log, start_logging
from publish.loader import stop_on_signals
from publish.wait import Outcome

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Operate the lists that serve."
)

Config = Annotated[Path, typer.Option(envvar="DISCOVERY_CONFIG", help="The product's YAML.")]
Overlay = Annotated[list[Path] | None, typer.Option(help="YAML merged over it; repeatable.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Reason = Annotated[str, typer.Option(help="Why; kept in the pointer.")]
_DEFAULT = Path("conf/prod_discovery.yml")


@app.command()
def status(config: Config = _DEFAULT, overlay: Overlay = None, json: Json = False) -> None:  # noqa: FBT002
    """What serves to whom since when, what is on its way, holds, memory, dead letters."""
    _show(view.status(_desk(config, overlay).control.status()), as_json=json)


@app.command()
def runs(config: Config = _DEFAULT, overlay: Overlay = None, json: Json = False) -> None:  # noqa: FBT002
    """Every run, the oldest first."""
    _show(view.runs(_desk(config, overlay).control.runs()), as_json=json)


@app.command()
def lookup(user: str, config: Config = _DEFAULT, overlay: Overlay = None, json: Json = False) -> None:  # noqa: FBT002
    """What a user gets, from which run, and why."""
    desk = _desk(config, overlay)
    _show(view.answer(desk.reader.lookup(desk.user_id(user))), as_json=json)


@app.command()
def wait(
    run: str,
    config: Config = _DEFAULT,
    overlay: Overlay = None,
    deadline: Annotated[float | None, typer.Option(help="Seconds to wait; default: the run's own deadline.")] = None,
    json: Json = False,  # noqa: FBT002
) -> None:
    """Wait until a run serves: exits 0 serving, 3 held, 4 failed, 5 deadline passed."""
    desk = _desk(config, overlay)
    waited = desk.wait(run, deadline)
    if waited.outcome is Outcome.SERVING:
        desk.note_serving(run)
    _show(view.waited(run, waited), as_json=json)
    raise typer.Exit(waited.outcome.value)


@app.command()
def promote(run: str, config: Config = _DEFAULT, overlay: Overlay = None, json: Json = False) -> None:  # noqa: FBT002
    """Let a complete run serve."""
    desk = _desk(config, overlay)
    pointer = desk.control.promote(run)
    desk.note_serving(run)
    _show(view.pointer(pointer), as_json=json)


@app.command()
def rollback(
    config: Config = _DEFAULT,
    overlay: Overlay = None,
    to: Annotated[str | None, typer.Option(help="The run to go back to; default: the one before.")] = None,
    reason: Reason = "rolled back by hand",
    json: Json = False,  # noqa: FBT002
) -> None:
    """Serve the run before, and hold the next batch until `unhold`."""
    desk = _desk(config, overlay)
    pointer = desk.control.rollback(to, reason=reason)
    if pointer.treatment is not None:
        desk.note_serving(pointer.treatment)
    _show(view.pointer(pointer), as_json=json)


@app.command()
def hold(
    config: Config = _DEFAULT,
    overlay: Overlay = None,
    reason: Reason = "held by hand",
    json: Json = False,  # noqa: FBT002
) -> None:
    """Keep every run from being promoted by itself."""
    _show(view.pointer(_desk(config, overlay).control.hold(reason)), as_json=json)


@app.command()
def unhold(config: Config = _DEFAULT, overlay: Overlay = None, json: Json = False) -> None:  # noqa: FBT002
    """Lift the hold; promotes nothing by itself."""
    _show(view.pointer(_desk(config, overlay).control.unhold()), as_json=json)


@app.command()
def share(percent: float, config: Config = _DEFAULT, overlay: Overlay = None, json: Json = False) -> None:  # noqa: FBT002
    """Serve at most this percentage of the audience, also after the next batch; 0 is the kill switch."""
    _show(view.share(_desk(config, overlay).control.share(Share.percent(percent))), as_json=json)


@app.command()
def clear(run: str, config: Config = _DEFAULT, overlay: Overlay = None, json: Json = False) -> None:  # noqa: FBT002
    """Delete the lists of a run that nothing needs."""
    _desk(config, overlay).control.clear(run)
    _show(view.cleared(run), as_json=json)


@app.command()
def load(
    config: Config = _DEFAULT,
    overlay: Overlay = None,
    metrics_port: Annotated[int | None, typer.Option(help="Serve health and counters for Prometheus here.")] = None,
) -> None:
    """Load the product's topic into Redis until stopped; several may run side by side."""
    desk = _desk(config, overlay)
    desk.load(stop_on_signals(), metrics_port)


def _desk(config: Path, overlay: list[Path] | None) -> Desk:
    return open_desk(config, tuple(overlay) if overlay is not None else ())


def _show(shown: view.View, *, as_json: bool) -> None:
    sys.stdout.write((shown.as_json() if as_json else shown.text) + "\n")


def main() -> None:
    """The console script; ends the process with the command's exit code."""
    start_logging()
    try:
        app()
    except DiscoveryError as error:
        log.error("error     %s", error)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
