"""The command line that every spark-submit entry shares, as typed values."""

import argparse
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from conf.errors import ConfigError
from conf.share import Share
from jobs.run.run_id import RunId

_FIRST_YEAR = 1970
"""From its days every setting in days leads to a date."""


@dataclass(frozen=True)
class Arguments:
    """What a person or the scheduler asked for."""

    config: Path
    overlays: tuple[Path, ...]
    as_of: dt.date
    run_id: RunId | None
    trigger_id: str | None
    audience_share: Share | None
    first: bool
    publish_old: bool
    refresh: bool
    overrides: dict[str, str]
    dry_run: bool


class Parser(argparse.ArgumentParser):
    """Raises ConfigError where argparse would end the process."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}; see {self.prog} --help")


def parse_arguments(argv: Sequence[str] | None, *, today: dt.date) -> Arguments:
    """Returns the arguments of an entry; raises ConfigError on anything malformed and on an `--as-of` after `today`."""
    given = _parser().parse_args(argv)
    as_of = past_day(given.as_of, today)
    run_id = None if given.run_id is None else RunId.parse(given.run_id)
    if run_id is not None and run_id.as_of != as_of:
        raise ConfigError(f"--run-id {run_id} names as_of {run_id.as_of}, but --as-of is {as_of}")
    if given.first and given.refresh:
        raise ConfigError("--refresh keeps the factors of the run that serves, and before a --first run none does")
    return Arguments(
        config=given.config,
        overlays=tuple(given.overlay),
        as_of=as_of,
        run_id=run_id,
        trigger_id=given.trigger_id,
        audience_share=None if given.audience_share is None else _share(given.audience_share),
        first=given.first,
        publish_old=given.publish_old,
        refresh=given.refresh,
        overrides=dict(_override(text) for text in given.override),
        dry_run=given.dry_run,
    )


def past_day(text: str, today: dt.date) -> dt.date:
    """Returns the day of an `--as-of`; raises ConfigError on another text, a day after `today` and one before 1970."""
    try:
        as_of = dt.date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"--as-of {text!r} is not a day; write YYYY-MM-DD, e.g. 2026-11-16") from None
    if as_of > today:
        raise ConfigError(f"--as-of {as_of} is in the future (today is {today} in UTC); its days have not happened yet")
    if as_of.year < _FIRST_YEAR:
        raise ConfigError(f"--as-of {as_of} is before {_FIRST_YEAR}; is the year right?")
    return as_of


def _parser() -> argparse.ArgumentParser:
    parser = Parser(description="Weekly lists of sources that users would love and do not follow yet.")
    add = parser.add_argument
    add("--config", type=Path, required=True, metavar="PATH", help="the product's YAML, e.g. conf/prod_discovery.yml")
    add("--overlay", type=Path, action="append", default=[], metavar="PATH", help="YAML merged over it; repeatable")
    add("--as-of", required=True, metavar="YYYY-MM-DD", help="the day of the run: windows end before it")
    add("--run-id", metavar="ID", help="resume this run, or the scheduler's name for it; default: a new one")
    add("--trigger-id", metavar="ID", help="the scheduler's id of this start; without it the run is manual")
    add("--audience-share", metavar="F", help="fraction of the audience, e.g. 0.25; default: rollout.share")
    add("--first", action="store_true", help="the first run of a product: there is nothing to compare it with")
    add("--publish-old", action="store_true", help="publish although a run of a later day serves")
    add("--refresh", action="store_true", help="keep the factors that serve, and fold in users who came since")
    add("--override", action="append", default=[], metavar="NAME=REASON", help="let one expectation fail, and say why")
    add("--dry-run", action="store_true", help="print what would be read, and read nothing else")
    return parser


def _share(text: str) -> Share:
    try:
        value = float(text)
    except ValueError:
        raise ConfigError(f"--audience-share {text!r} is not a number; give a fraction such as 0.25") from None
    return Share.fraction(value)


def _override(text: str) -> tuple[str, str]:
    name, _, reason = (part.strip() for part in text.partition("="))
    if not name or not reason:
        raise ConfigError(
            f"--override {text!r} must name an expectation and a reason, e.g. max_change_of_rows='new app'"
        )
    return name, reason
