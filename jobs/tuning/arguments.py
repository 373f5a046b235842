"""The command line of `jobs/tune_embeddings.py`, as typed values."""

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from conf.errors import ConfigError
from jobs.run.arguments import Parser, past_day

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
JUDGED_USERS = 20_000


@dataclass(frozen=True)
class TuningArguments:
    """What a person asked for."""

    config: Path
    overlays: tuple[Path, ...]
    as_of: dt.date
    trials: int
    study: str | None
    max_factors: int | None
    judged_users: int


def parse_tuning(argv: Sequence[str] | None, *, today: dt.date) -> TuningArguments:
    """Returns the arguments; raises ConfigError on anything malformed and on an `--as-of` after `today`."""
    given = _parser().parse_args(argv)
    if given.study is not None and not _NAME.fullmatch(given.study):
        raise ConfigError(
            f"--study {given.study!r} is no name: use lower-case letters, digits, _ . and -, at most 64, "
            "beginning with a letter or digit"
        )
    return TuningArguments(
        config=given.config,
        overlays=tuple(given.overlay),
        as_of=past_day(given.as_of, today),
        trials=_count("--trials", given.trials),
        study=given.study,
        max_factors=None if given.max_factors is None else _count("--max-factors", given.max_factors, 1024),
        judged_users=_count("--judged-users", given.judged_users),
    )


def _parser() -> Parser:
    parser = Parser(description="Better hyper-parameters for a product's training, as a proposal with its evidence.")
    add = parser.add_argument
    add("--config", type=Path, required=True, metavar="PATH", help="the product's YAML, e.g. conf/prod_discovery.yml")
    add("--overlay", type=Path, action="append", default=[], metavar="PATH", help="YAML merged over it; repeatable")
    add("--as-of", required=True, metavar="YYYY-MM-DD", help="the day whose datasets are used: windows end before it")
    add("--trials", required=True, metavar="N", help="trials of the study in all, those of former starts included")
    add("--study", metavar="NAME", help="a name of its own; default: made from the day and the settings")
    add("--max-factors", metavar="D", help="most dimensions to try; default: train.factors")
    add(
        "--judged-users",
        default=str(JUDGED_USERS),
        metavar="N",
        help=f"users at most by whom trials are judged; default: {JUDGED_USERS}",
    )
    return parser


def _count(flag: str, text: str, most: int = 10**9) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 1 <= number <= most:
        raise ConfigError(f"{flag} {text} must be a whole number from 1 to {most:,}")
    return number
