"""The command line that every spark-submit entry shares, as typed values."""

import datetime as dt
import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, TypeVar, cast

import typer

from conf.errors import ConfigError
from conf.run_flags import RunFlags, RunParameters, option_of
from conf.share import Share
from conf.windows import parse_day
from jobs.run.run_id import RunId

_FIRST_YEAR = 1970
"""From its days on, every setting in days leads to a valid date."""

T = TypeVar("T")


def _day(text: str) -> dt.date:
    return parse_day(text, "--as-of ")


def _share(text: str) -> Share:
    try:
        value = float(text)
    except ValueError:
        raise ConfigError(f"--audience-share {text!r} is not a number; use a fraction such as 0.25") from None
    return Share.fraction(value)


def _override(text: str) -> tuple[str, str]:
    name, _, reason = (part.strip() for part in text.partition("="))
    if not name or not reason:
        raise ConfigError(
            f"--override {text!r} must name an expectation and a reason, e.g. max_change_of_rows='new app'"
        )
    return name, reason


Config = Annotated[Path, typer.Option(metavar="PATH", help="The product's YAML, e.g. conf/prod_discovery.yml.")]
Overlay = Annotated[list[Path] | None, typer.Option(metavar="PATH", help="YAML merged over it; repeatable.")]
AsOf = Annotated[
    dt.date, typer.Option(parser=_day, metavar="YYYY-MM-DD", help="The day of the run: windows end before it.")
]
_RunId = Annotated[
    RunId | None, typer.Option(parser=RunId.parse, metavar="ID", help="Resume this run, or make one of this name.")
]
_TriggerId = Annotated[
    str | None, typer.Option(metavar="ID", help="The scheduler's id of this start; without it the run is manual.")
]


@dataclass(frozen=True)
class Arguments:
    """What a person or the scheduler asked for."""

    flags: RunFlags
    audience_share: Share | None
    config: Config
    as_of: AsOf
    overlay: Overlay = None
    run_id: _RunId = None
    trigger_id: _TriggerId = None
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be read, and read nothing else.")] = False


def parse_arguments(argv: Sequence[str] | None, *, today: dt.date) -> Arguments:
    """Returns the arguments of an entry. Raises ConfigError on malformed ones and on an `--as-of` after `today`."""
    arguments = parse(_weekly_lists, argv)
    run_id, as_of = arguments.run_id, past_day(arguments.as_of, today)
    if run_id is not None and run_id.is_control:
        raise ConfigError(f"--run-id {run_id} is a control, which is made with its treatment; name that one")
    if run_id is not None and run_id.as_of != as_of:
        raise ConfigError(f"--run-id {run_id} names as_of {run_id.as_of}, but --as-of is {as_of}")
    if arguments.flags.first and arguments.flags.refresh:
        raise ConfigError("--refresh keeps the factors of the run that serves, and before a --first run none does")
    return arguments


def parse(command: Callable[..., T], argv: Sequence[str] | None) -> T:
    """Calls `command` with its options and returns the result. Raises ConfigError; exits after --help."""
    app, program = typer.Typer(add_completion=False), Path(sys.argv[0]).name
    app.command()(command)
    words = sys.argv[1:] if argv is None else argv
    try:
        made = typer.main.get_command(app).main(list(words), prog_name=program, standalone_mode=False)
    except typer.TyperException as error:
        raise ConfigError(f"{error.format_message().rstrip('.')}; see {program} --help") from None
    if isinstance(made, int):  # of --help
        sys.exit(made)
    return cast(T, made)


def past_day(as_of: dt.date, today: dt.date) -> dt.date:
    """Returns the day of an `--as-of`. Raises ConfigError on a day after `today` and on one before 1970."""
    if as_of > today:
        raise ConfigError(f"--as-of {as_of} is in the future (today is {today} in UTC); its days have not happened yet")
    if as_of.year < _FIRST_YEAR:
        raise ConfigError(f"--as-of {as_of} is before {_FIRST_YEAR}; is the year right?")
    return as_of


def _weekly_lists(**given: Any) -> Arguments:
    """Weekly lists of sources that users would love and do not follow yet."""
    flags = {name: given.pop(name) for name in RunFlags.model_fields}
    overrides = dict(map(_override, flags.pop("overrides") or ()))
    return Arguments(RunFlags(**flags, overrides=overrides), **given)


def _option(name: str) -> inspect.Parameter:
    """Returns the option for a field of `RunParameters`: a switch, NAME=REASON repeated, or a share."""
    field = RunParameters.model_fields[name]
    kind, more = _KINDS[type(field.default)]
    option = typer.Option(option_of(name), help=field.description, **more)
    default = field.default if kind is bool else None
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])


_KINDS: dict[type, tuple[Any, dict[str, Any]]] = {
    bool: (bool, {}),
    dict: (list[str] | None, {"metavar": "NAME=REASON"}),
    NoneType: (Share | None, {"parser": _share, "metavar": "F"}),
}
_own = list(inspect.signature(Arguments).parameters.values())[2:]  # without flags and audience_share
_weekly_lists.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [*_own, *map(_option, RunParameters.model_fields)]
)
