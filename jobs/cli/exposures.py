"""`discovery exposures`: what was answered to whom, landed from Kafka as files."""

from collections.abc import Callable

import typer

from conf.environment import Environment
from conf.settings import Settings
from jobs.cli.options import Cli, product_command
from jobs.cli.views.view import View
from jobs.exposures.entry import land, look
from jobs.exposures.report import Report

exposures = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="What was answered to whom: land it from Kafka as dated files, and count what is missing.",
)


@exposures.command("land")
@product_command
def land_topic(cli: Cli) -> None:
    """Land what is in the topic: exits 0 done, 4 done but records were lost or cannot be read, 75 another is at it."""
    report = _open(cli, land)
    if report.exit_code:
        raise typer.Exit(report.exit_code)


@exposures.command("show")
@product_command
def show_landed(cli: Cli) -> None:
    """What is landed by day, surface and run, what is missing, and what waits in the topic; lands nothing."""
    _open(cli, look)


def _open(cli: Cli, work: Callable[[Settings, Environment], Report]) -> Report:
    report = work(cli.settings(), Environment.read())
    cli.show(View(report.text(), report.data()))
    return report
