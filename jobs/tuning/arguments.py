"""The command line of `jobs/tune_embeddings.py`, as typed values."""

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from conf.errors import ConfigError
from jobs.run.arguments import AsOf, Config, Overlay, parse, past_day

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
JUDGED_USERS = 20_000


def _name(study: str) -> str:
    if not _NAME.fullmatch(study):
        raise ConfigError(
            f"--study {study!r} is no name: use lower-case letters, digits, _ . and -, at most 64, "
            "beginning with a letter or digit"
        )
    return study


@dataclass(frozen=True)
class TuningArguments:
    """Better hyper-parameters for a product's training, as a proposal with its evaluation."""

    config: Config
    as_of: AsOf
    trials: Annotated[
        int, typer.Option(min=1, max=10**9, metavar="N", help="Trials in all, with those of earlier starts.")
    ]
    study: Annotated[str | None, typer.Option(parser=_name, help="Default: made from the day and the settings.")] = None
    max_factors: Annotated[
        int | None, typer.Option(min=1, max=1024, metavar="D", help="Most dimensions to try; default: train.factors.")
    ] = None
    judged_users: Annotated[
        int, typer.Option(min=1, max=10**9, metavar="N", help="Users at most by whom trials are judged.")
    ] = JUDGED_USERS
    overlay: Overlay = None


def parse_tuning(argv: Sequence[str] | None, *, today: dt.date) -> TuningArguments:
    """Returns the arguments. Raises ConfigError on malformed ones and on an `--as-of` after `today`."""
    arguments = parse(TuningArguments, argv)
    past_day(arguments.as_of, today)
    return arguments
