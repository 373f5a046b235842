"""The command line that all spark-submit entries share, as typed values."""

import datetime as dt
import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

import typer

from conf.errors import ConfigError
from conf.run_flags import RunFlags, RunParameters, option_of
from conf.share import Share
from jobs.run.run_id import RunId

_FIRST_YEAR = 1970
"""From its days on, every setting in days leads to a valid date."""

Config = Annotated[Path, typer.Option(metavar="PATH", help="The product's YAML, e.g. conf/prod_discovery.yml.")]
Overlay = Annotated[list[Path] | None, typer.Option(metavar="PATH", help="YAML merged over it; repeatable.")]
AsOf = Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="The day of the run: windows end before it.")]
_RunId = Annotated[str | None, typer.Option(metavar="ID", help="Resume this run, or make one of this name.")]
_TriggerId = Annotated[str | None, typer.Option(metavar="ID", help="The scheduler's id of this start; else by hand.")]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be read, and read nothing else.")]

T = TypeVar("T")


@dataclass(frozen=True)
class Arguments:
    """The options of a start, by a person or the scheduler."""

    config: Path
    overlays: tuple[Path, ...]
    as_of: dt.date
    run_id: RunId | None
    trigger_id: str | None
    audience_share: Share | None
    flags: RunFlags
    dry_run: bool


def parse_arguments(argv: Sequence[str] | None, *, today: dt.date) -> Arguments:
    """Returns the arguments of an entry. Raises ConfigError on malformed ones and on an `--as-of` after `today`."""

    def weekly_lists(
        config: Config,
        as_of: AsOf,
        *,
        overlay: Overlay = None,
        run_id: _RunId = None,
        trigger_id: _TriggerId = None,
        dry_run: _DryRun = False,
        **flags: Any,
    ) -> Arguments:
        """Weekly lists of sources that users would love and do not follow yet."""
        share: str | None = flags.pop("audience_share")
        overrides = dict(_override(text) for text in flags.pop("overrides") or ())
        return Arguments(
            config=config,
            overlays=tuple(overlay or ()),
            as_of=past_day(as_of, today),
            run_id=None if run_id is None else RunId.parse(run_id),
            trigger_id=trigger_id,
            audience_share=None if share is None else _share(share),
            flags=RunFlags(**flags, overrides=overrides),
            dry_run=dry_run,
        )

    arguments = parse(weekly_lists, argv, [_option(name) for name in RunParameters.model_fields])
    run_id, as_of = arguments.run_id, arguments.as_of
    if run_id is not None and run_id.as_of != as_of:
        raise ConfigError(f"--run-id {run_id} names as_of {run_id.as_of}, but --as-of is {as_of}")
    if arguments.flags.first and arguments.flags.refresh:
        raise ConfigError("--refresh keeps the factors of the run that serves, and before a --first run none does")
    return arguments


def parse(command: Callable[..., T], argv: Sequence[str] | None, options: Sequence[inspect.Parameter] = ()) -> T:
    """Parses the options and returns the command's result; `options` are those of its `**`.

    Raises ConfigError; exits after --help.
    """
    if options:
        signature = inspect.signature(command)
        own = [one for one in signature.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
        command.__signature__ = signature.replace(parameters=[*own, *options])  # type: ignore[attr-defined]
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


def past_day(text: str, today: dt.date) -> dt.date:
    """Returns the day of an `--as-of`. Raises ConfigError on other text, a day after `today` and one before 1970."""
    try:
        as_of = dt.date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"--as-of {text!r} is not a day; write YYYY-MM-DD, e.g. 2026-11-16") from None
    if as_of > today:
        raise ConfigError(f"--as-of {as_of} is in the future (today is {today} in UTC); its days have not happened yet")
    if as_of.year < _FIRST_YEAR:
        raise ConfigError(f"--as-of {as_of} is before {_FIRST_YEAR}; is the year right?")
    return as_of


def _option(name: str) -> inspect.Parameter:
    """Returns the option for a field of `RunParameters`: a switch, NAME=REASON repeated, or one value as text."""
    field = RunParameters.model_fields[name]
    kind: Any = str | None
    metavar: str | None = "F"
    if isinstance(field.default, bool):
        kind, metavar = bool, None
    elif isinstance(field.default, dict):
        kind, metavar = list[str] | None, "NAME=REASON"
    option = typer.Option(option_of(name), metavar=metavar, help=field.description)
    default = False if kind is bool else None
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])


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
