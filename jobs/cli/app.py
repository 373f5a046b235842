"""`discovery`: the operator's commands. They need Redis (and Kafka to keep what they change); Spark: `reproduce`.

A command's module is imported when the command is called, so that it waits for no library that it does not need.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from conf.errors import ConfigError, DiscoveryError
from jobs.runtime.interrupts import INTERRUPTED, Stop, ending_at_once
from jobs.runtime.log import log, start_logging


class Place(NamedTuple):
    """The module of a command or a group of them, where it has its name, and its help."""

    module: str
    help: str


COMMANDS = {
    "plan": Place(
        "jobs.cli.plan", "What the next push needs, and with --events the whole job; exits 2 when it would not fit."
    ),
    "forget": Place(
        "jobs.cli.forget",
        "Delete a user's lists and landed answers, and keep the user out of every later run. It cannot be undone.",
    ),
    "history": Place(
        "jobs.cli.history",
        "Who was served when: each change of what serves, with its reason and who made it, the oldest first.",
    ),
    "rebuild": Place(
        "jobs.cli.rebuild",
        "Restore runs, erasures and pointer from Kafka after Redis lost them: exits 0 done, 4 lost, 5 deadline passed.",
    ),
    "reproduce": Place(
        "jobs.cli.reproduce",
        "Make a run again from its manifest and compare every bit; needs Spark; exits 4 when it is not the same.",
    ),
    "status": Place(
        "jobs.cli.status",
        "What serves to whom since when, what is on its way, holds, memory, dead letters.",
    ),
    "alert": Place(
        "jobs.cli.alert",
        "Who is told when a gate stops a run; `--test` tells them something, and exits 1 when it does not arrive.",
    ),
    "runs": Place("jobs.cli.runs", "Every run, the oldest first."),
    "report": Place(
        "jobs.cli.report",
        "The report of a run: what it read, its gates, how good it is, what it published, what changed.",
    ),
    "lookup": Place("jobs.cli.lookup", "What a user gets, from which run, and why."),
    "explain": Place(
        "jobs.cli.explain",
        "Why a user has a list: what they did, what each of it adds to a score, what was better and left out.",
    ),
    "wait": Place("jobs.cli.serving", "Wait until a run serves: exits 0 serving, 3 held, 4 failed, 5 deadline passed."),
    "promote": Place("jobs.cli.serving", "Let a complete run serve."),
    "rollback": Place("jobs.cli.serving", "Serve the run before, and hold the next batch until `unhold`."),
    "hold": Place("jobs.cli.orders", "Keep every run from being promoted by itself."),
    "unhold": Place("jobs.cli.orders", "Lift the hold; promotes nothing by itself."),
    "share": Place(
        "jobs.cli.orders",
        "Serve at most this percentage of the audience, also after the next batch; 0 is the kill switch.",
    ),
    "verify": Place(
        "jobs.cli.runs",
        "Read a run back from Redis and compare it with what was announced; exits 4 when it differs.",
    ),
    "clear": Place("jobs.cli.runs", "Delete the lists of a run that nothing needs."),
    "load": Place("jobs.cli.load", "Load the product's topic into Redis until stopped; several may run side by side."),
    "serve": Place("jobs.cli.serve", "Answer look-ups over HTTP until stopped; SIGTERM lets every request end first."),
    "export": Place(
        "jobs.cli.export",
        "Export metrics of runs, lists, gates, drift, outcomes and experiments to Prometheus until stopped.",
    ),
    "dlq": Place("jobs.cli.dead_letters", "Records that could not be loaded."),
    "exposures": Place(
        "jobs.cli.exposures",
        "What was answered to whom: land it from Kafka as dated files, and count what is missing.",
    ),
    "outcomes": Place(
        "jobs.cli.outcomes",
        "What users did with their lists, by week, run and arm; each rate says what it rests on.",
    ),
    "experiment": Place(
        "jobs.cli.experiment",
        "A treatment against a control over weeks: plan; open, which pins both recipes; judge, raise and close it.",
    ),
    "inspect": Place(
        "jobs.cli.inspector",
        "Show what serves, why a user got a list and what changed, as pages on loopback until stopped.",
    ),
    "drift": Place("jobs.cli.drift", "What drifted: findings of runs, and what operators decide about them."),
    "model": Place("jobs.cli.model", "Versions of the model: what made them, and which one serves."),
}
"""The commands in the order of `--help`. Each help is repeated by the command itself, for `COMMAND --help`."""


class Commands(TyperGroup):
    """The group of COMMANDS: `--help` and typing errors need their names only, a call imports the command."""

    def __init__(self) -> None:
        listed = [TyperCommand(name, help=place.help) for name, place in COMMANDS.items()]
        super().__init__(name="discovery", commands=listed, no_args_is_help=True, help="Operate the lists that serve.")

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Returns name, command and further words of what was typed."""
        name, listed, rest = super().resolve_command(ctx, args)
        return name, listed if name is None else imported(name), rest


def imported(name: str) -> Any:
    """Returns the command, or the group, of that name in COMMANDS."""
    with ending_at_once():
        found = getattr(import_module(COMMANDS[name].module), name)
    if isinstance(found, typer.Typer):
        return typer.main.get_command(found)
    alone = typer.Typer(add_completion=False)
    alone.command(name, cls=getattr(found, "command_class", None))(found)
    return typer.main.get_command(alone)


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
            Commands()()
        except DiscoveryError as error:
            if stop.asked:
                sys.exit(INTERRUPTED)
            log.error("error     %s", error)
            sys.exit(error.exit_code)
