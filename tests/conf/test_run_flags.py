"""What the DAG asks by its parameters is what the job reads on its command line, whatever flags there are."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.run_flags import RunFlags, RunParameters, command_line
from conf.share import Share
from jobs.run.arguments import parse_arguments
from jobs.run.manifest import Request

REPO = Path(__file__).resolve().parents[2]
NEEDED = ["--config", "conf/prod_discovery.yml", "--as-of", "2026-11-16"]
TODAY = dt.date(2026, 11, 16)

names = st.from_regex(r"[a-z_]{1,10}", fullmatch=True)
reasons = st.text(min_size=1).map(str.strip).filter(bool)
by_default: dict[type, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    dict: st.dictionaries(names, reasons, max_size=3),
    type(None): st.none() | st.integers(0, 10_000).map(lambda bp: bp / 10_000),
}
values = st.fixed_dictionaries(
    {name: by_default[type(field.default)] for name, field in RunParameters.model_fields.items()}
).filter(lambda asked: not (asked["first"] and asked["refresh"]))


@given(values)
def test_every_parameter_survives_the_command_line(asked: dict[str, Any]) -> None:
    arguments = parse_arguments([*NEEDED, *command_line(asked)], today=TODAY)
    share = asked.pop("audience_share")
    assert arguments.flags.model_dump() == asked
    assert arguments.audience_share == (None if share is None else Share.fraction(share))


def test_without_a_flag_nothing_is_asked() -> None:
    arguments = parse_arguments(NEEDED, today=TODAY)
    assert (arguments.flags, arguments.audience_share) == (RunFlags(), None)


def test_the_manifest_keeps_every_flag() -> None:
    assert RunFlags.model_fields.keys() <= Request.model_fields.keys()


def test_help_names_every_flag_and_ends_well(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_arguments(["--help"], today=TODAY)
    assert ended.value.code == 0
    said = capsys.readouterr().out
    for flag in ("--first", "--publish-old", "--refresh", "--audience-share", "--override", "--dry-run"):
        assert flag in said


def test_the_dags_read_the_same_file() -> None:
    assert (REPO / "dags" / "run_flags.py").samefile(REPO / "conf" / "run_flags.py")
