"""`discovery`: the operator's commands. They need Redis (and Kafka to keep what they change); Spark: `reproduce`."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from conf.errors import ConfigError, DiscoveryError
from conf.share import Share
from jobs.cli.dead_letters import dlq
from jobs.cli.forget import forget
from jobs.cli.history import history
from jobs.cli.model import model
from jobs.cli.options import DEFAULT_CONFIG, Config, Json, Overlay, Reason, UserCommand, context_of, show
from jobs.cli.plan import plan
from jobs.cli.rebuild import rebuild
from jobs.cli.reproduce import reproduce
from jobs.cli.views import view
from jobs.cli.views.status import status as status_view
from jobs.runtime.interrupts import INTERRUPTED, Stop
from jobs.runtime.log import log, start_logging
from publish.errors import RunFailed
from publish.load.loader import stop_on_signals
from publish.operate.wait import RunEnding

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Operate the lists that serve."
)

app.command()(plan)
app.command(cls=UserCommand)(forget)
app.command()(history)
app.command()(rebuild)
app.command()(reproduce)
app.add_typer(dlq, name="dlq")
app.add_typer(model, name="model")


@app.command()
def status(config: Config = DEFAULT_CONFIG, overlay: Overlay = None, json: Json = False) -> None:  # noqa: FBT002
    """What serves to whom since when, what is on its way, holds, memory, dead letters."""
    context = context_of(config, overlay)
    report = context.control.status()
    show(status_view(report, context.dead_letters(report)), as_json=json)


@app.command()
def runs(config: Config = DEFAULT_CONFIG, overlay: Overlay = None, json: Json = False) -> None:  # noqa: FBT002
    """Every run, the oldest first."""
    control = context_of(config, overlay).control
    show(view.runs(control.runs(), control.unreadable()), as_json=json)


@app.command(cls=UserCommand)
def lookup(user: str, config: Config = DEFAULT_CONFIG, overlay: Overlay = None, json: Json = False) -> None:  # noqa: FBT002
    """What a user gets, from which run, and why."""
    context = context_of(config, overlay)
    show(view.answer(context.reader.lookup(context.user_id(user))), as_json=json)


@app.command()
def wait(
    run: str,
    config: Config = DEFAULT_CONFIG,
    overlay: Overlay = None,
    deadline: Annotated[float | None, typer.Option(help="Seconds to wait; default: the run's own deadline.")] = None,
    json: Json = False,  # noqa: FBT002
) -> None:
    """Wait until a run serves: exits 0 serving, 3 held, 4 failed, 5 deadline passed."""
    context = context_of(config, overlay)
    waited = context.wait(run, deadline)
    if waited.ending is RunEnding.SERVING:
        context.note_serving(run)
    show(view.waited(run, waited), as_json=json)
    raise typer.Exit(waited.ending.value)


@app.command()
def promote(
    run: str,
    config: Config = DEFAULT_CONFIG,
    overlay: Overlay = None,
    reason: Reason = "promoted by hand",
    json: Json = False,  # noqa: FBT002
) -> None:
    """Let a complete run serve."""
    context = context_of(config, overlay)
    pointer = context.control.promote(run, reason=reason)
    context.note_serving(run)
    show(view.pointer(pointer), as_json=json)


@app.command()
def rollback(
    config: Config = DEFAULT_CONFIG,
    overlay: Overlay = None,
    to: Annotated[str | None, typer.Option(help="The run to go back to; default: the one before.")] = None,
    reason: Reason = "rolled back by hand",
    json: Json = False,  # noqa: FBT002
) -> None:
    """Serve the run before, and hold the next batch until `unhold`."""
    context = context_of(config, overlay)
    pointer = context.control.rollback(to, reason=reason)
    if pointer.treatment is not None:
        context.note_serving(pointer.treatment)
    show(view.pointer(pointer), as_json=json)


@app.command()
def hold(
    config: Config = DEFAULT_CONFIG,
    overlay: Overlay = None,
    reason: Reason = "held by hand",
    json: Json = False,  # noqa: FBT002
) -> None:
    """Keep every run from being promoted by itself."""
    show(view.pointer(context_of(config, overlay).control.hold(reason)), as_json=json)


@app.command()
def unhold(
    config: Config = DEFAULT_CONFIG,
    overlay: Overlay = None,
    reason: Reason = "hold lifted by hand",
    json: Json = False,  # noqa: FBT002
) -> None:
    """Lift the hold; promotes nothing by itself."""
    show(view.pointer(context_of(config, overlay).control.unhold(reason=reason)), as_json=json)


@app.command()
def share(
    percent: float,
    config: Config = DEFAULT_CONFIG,
    overlay: Overlay = None,
    reason: Reason = "share set by hand",
    json: Json = False,  # noqa: FBT002
) -> None:
    """Serve at most this percentage of the audience, also after the next batch; 0 is the kill switch."""
    report = context_of(config, overlay).control.share(Share.percent(percent), reason=reason)
    show(view.share(report), as_json=json)


@app.command()
def verify(run: str, config: Config = DEFAULT_CONFIG, overlay: Overlay = None, json: Json = False) -> None:  # noqa: FBT002
    """Read a run back from Redis and compare it with what was announced; exits 4 when it differs."""
    control = context_of(config, overlay).control
    faults = control.verify(run)
    show(view.verified(control.registry.get(run), faults), as_json=json)
    if faults:
        raise typer.Exit(RunFailed.exit_code)


@app.command()
def clear(run: str, config: Config = DEFAULT_CONFIG, overlay: Overlay = None, json: Json = False) -> None:  # noqa: FBT002
    """Delete the lists of a run that nothing needs."""
    context_of(config, overlay).control.clear(run)
    show(view.cleared(run), as_json=json)


@app.command()
def load(
    config: Config = DEFAULT_CONFIG,
    overlay: Overlay = None,
    metrics_port: Annotated[int | None, typer.Option(help="Serve health and counters for Prometheus here.")] = None,
) -> None:
    """Load the product's topic into Redis until stopped; several may run side by side."""
    context = context_of(config, overlay)
    context.load(stop_on_signals(), metrics_port)


def _refuse_odd_words(words: Sequence[str]) -> None:
    """Bytes that are no UTF-8 can be part of nothing here: no id, run, path or reason; raises ConfigError."""
    for word in words:
        if not word.isascii() and any("\ud800" <= char <= "\udfff" for char in word):
            raise ConfigError(f"{word!r:.300}: what is typed must be UTF-8")


def main() -> None:
    """Runs the command that was typed; ends the process with the command's exit code."""
    start_logging()
    with Stop("interrupted; what the command had not done yet was not done") as stop:
        try:
            _refuse_odd_words(sys.argv[1:])
            app()
        except DiscoveryError as error:
            if stop.asked:
                sys.exit(INTERRUPTED)
            log.error("error     %s", error)
            sys.exit(error.exit_code)
