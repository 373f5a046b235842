"""`discovery`: the operator's commands. They need Redis (and Kafka to keep what they change); Spark: `reproduce`."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from conf.errors import ConfigError, DiscoveryError
from conf.share import Share
from jobs.cli.context import open_context
from jobs.cli.dead_letters import dlq
from jobs.cli.forget import forget
from jobs.cli.history import history
from jobs.cli.model import model
from jobs.cli.options import DEFAULT_CONFIG, Cli, Config, Overlay, Reason, UserCommand, product_command
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
@product_command
def status(cli: Cli) -> None:
    """What serves to whom since when, what is on its way, holds, memory, dead letters."""
    context = cli.open()
    report = context.control.status()
    cli.show(status_view(report, context.inspect_topics(report)))


@app.command()
@product_command
def runs(cli: Cli) -> None:
    """Every run, the oldest first."""
    control = cli.open().control
    cli.show(view.runs(control.runs(), control.unreadable()))


@app.command(cls=UserCommand)
@product_command
def lookup(cli: Cli, user: str) -> None:
    """What a user gets, from which run, and why."""
    context = cli.open()
    cli.show(view.answer(context.reader.lookup(context.user_id(user))))


@app.command()
@product_command
def wait(
    cli: Cli,
    run: str,
    deadline: Annotated[float | None, typer.Option(help="Seconds to wait; default: the run's own deadline.")] = None,
) -> None:
    """Wait until a run serves: exits 0 serving, 3 held, 4 failed, 5 deadline passed."""
    context = cli.open()
    waited = context.wait(run, deadline)
    if waited.ending is RunEnding.SERVING:
        context.note_serving(run)
    cli.show(view.waited(run, waited))
    raise typer.Exit(waited.ending.value)


@app.command()
@product_command
def promote(cli: Cli, run: str, reason: Reason = "promoted by hand") -> None:
    """Let a complete run serve."""
    context = cli.open()
    pointer = context.control.promote(run, reason=reason)
    context.note_serving(run)
    cli.show(view.pointer(pointer))


@app.command()
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
        context.note_serving(pointer.treatment)
    cli.show(view.pointer(pointer))


@app.command()
@product_command
def hold(cli: Cli, reason: Reason = "held by hand") -> None:
    """Keep every run from being promoted by itself."""
    cli.show(view.pointer(cli.open().control.hold(reason)))


@app.command()
@product_command
def unhold(cli: Cli, reason: Reason = "hold lifted by hand") -> None:
    """Lift the hold; promotes nothing by itself."""
    cli.show(view.pointer(cli.open().control.unhold(reason=reason)))


@app.command()
@product_command
def share(cli: Cli, percent: float, reason: Reason = "share set by hand") -> None:
    """Serve at most this percentage of the audience, also after the next batch; 0 is the kill switch."""
    report = cli.open().control.share(Share.percent(percent), reason=reason)
    cli.show(view.share(report))


@app.command()
@product_command
def verify(cli: Cli, run: str) -> None:
    """Read a run back from Redis and compare it with what was announced; exits 4 when it differs."""
    control = cli.open().control
    faults = control.verify(run)
    cli.show(view.verified(control.registry.get(run), faults))
    if faults:
        raise typer.Exit(RunFailed.exit_code)


@app.command()
@product_command
def clear(cli: Cli, run: str) -> None:
    """Delete the lists of a run that nothing needs."""
    cli.open().control.clear(run)
    cli.show(view.cleared(run))


@app.command()
def load(
    config: Config = DEFAULT_CONFIG,
    overlay: Overlay = None,
    metrics_port: Annotated[int | None, typer.Option(help="Serve health and counters for Prometheus here.")] = None,
) -> None:
    """Load the product's topic into Redis until stopped; several may run side by side."""
    context = open_context(config, tuple(overlay or ()))
    context.load(stop_on_signals(), metrics_port)


def _refuse_odd_words(words: Sequence[str]) -> None:
    """Raises ConfigError for a word that is no UTF-8, since no id, run, path or reason can be one."""
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
