"""The command line of jobs/decide_share.py."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from jobs.run.arguments import AsOf, Config, Overlay, parse, past_day


class Asked(NamedTuple):
    """What the command line asks for."""

    config: Path
    overlays: Sequence[Path]
    as_of: dt.date
    wait: bool
    """Whether to exit with 75 while the outcomes of last week are not there."""


def parse_asked(argv: Sequence[str] | None, *, today: dt.date) -> Asked:
    """Returns what the command line asks for. Raises ConfigError, also for a day to come."""
    asked = parse(_flags, argv)
    return asked._replace(as_of=past_day(asked.as_of, today))


def _flags(
    *,
    config: Config,
    as_of: AsOf,
    overlay: Overlay = None,
    wait: Annotated[bool, typer.Option("--wait", help="Exit with 75 until the week that is over is measured.")] = False,
) -> Asked:
    return Asked(config, tuple(overlay or ()), as_of, wait)
