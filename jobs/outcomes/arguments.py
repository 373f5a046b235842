"""The command line of the entry, as typed values."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from conf.errors import ConfigError
from conf.windows import parse_day
from jobs.run.arguments import Config, Overlay, parse


class Asked(NamedTuple):
    """What is measured."""

    config: Path
    overlays: Sequence[Path]
    day: dt.date


def parse_asked(argv: Sequence[str] | None, *, today: dt.date) -> Asked:
    """Returns what the command line asks for. Raises ConfigError, also for a day that is not over."""
    asked = parse(_flags, argv)
    if asked.day >= today:
        raise ConfigError(f"--day {asked.day} is not over yet (today is {today} in UTC); measure an earlier day")
    return asked


def _day(text: str) -> dt.date:
    return parse_day(text, "--day ")


_Day = Annotated[dt.date, typer.Option(parser=_day, metavar="YYYY-MM-DD", help="The newest day that is measured.")]


def _flags(*, config: Config, day: _Day, overlay: Overlay = None) -> Asked:
    return Asked(config, tuple(overlay or ()), day)
