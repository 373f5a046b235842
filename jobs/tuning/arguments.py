"""The command line of `jobs/tune_embeddings.py`, as typed values."""

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from conf.errors import ConfigError
from jobs.run.arguments import AsOf, Config, Overlay, parse, past_day

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
JUDGED_USERS = 20_000

_Trials = Annotated[str, typer.Option(metavar="N", help="Trials of the study in all, with those of earlier starts.")]
_Study = Annotated[str | None, typer.Option(metavar="NAME", help="Default: made from the day and the settings.")]
_MaxFactors = Annotated[str | None, typer.Option(metavar="D", help="Most dimensions to try; default: train.factors.")]
_JudgedUsers = Annotated[str, typer.Option(metavar="N", help="Users at most by whom trials are judged.")]


@dataclass(frozen=True)
class TuningArguments:
    """The options of a search."""

    config: Path
    overlays: tuple[Path, ...]
    as_of: dt.date
    trials: int
    study: str | None
    max_factors: int | None
    judged_users: int


def parse_tuning(argv: Sequence[str] | None, *, today: dt.date) -> TuningArguments:
    """Returns the arguments. Raises ConfigError on malformed ones and on an `--as-of` after `today`."""

    def tune_embeddings(
        config: Config,
        as_of: AsOf,
        trials: _Trials,
        study: _Study = None,
        max_factors: _MaxFactors = None,
        judged_users: _JudgedUsers = str(JUDGED_USERS),
        overlay: Overlay = None,
    ) -> TuningArguments:
        """Better hyper-parameters for a product's training, as a proposal with its evaluation."""
        return TuningArguments(
            config=config,
            overlays=tuple(overlay or ()),
            as_of=past_day(as_of, today),
            trials=_count("--trials", trials),
            study=None if study is None else _name(study),
            max_factors=None if max_factors is None else _count("--max-factors", max_factors, 1024),
            judged_users=_count("--judged-users", judged_users),
        )

    return parse(tune_embeddings, argv)


def _name(study: str) -> str:
    if not _NAME.fullmatch(study):
        raise ConfigError(
            f"--study {study!r} is no name: use lower-case letters, digits, _ . and -, at most 64, "
            "beginning with a letter or digit"
        )
    return study


def _count(flag: str, text: str, most: int = 10**9) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 1 <= number <= most:
        raise ConfigError(f"{flag} {text} must be a whole number from 1 to {most:,}")
    return number
