"""The command line becomes typed values, or an error that says what to write."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.errors import ConfigError
from conf.share import Share
from jobs.run.arguments import parse_arguments
from jobs.run.run_id import RunId

TODAY = dt.date(2026, 11, 16)
NEEDED = ["--config", "conf/prod_discovery.yml", "--as-of", "2026-11-16"]


def test_flags_become_values() -> None:
    given_flags = [*NEEDED, "--audience-share", "0.25", "--override", "max_weight=new app"]
    given_flags += ["--run-id", "20261116T030000Z-20261116-1"]
    arguments = parse_arguments(given_flags, today=TODAY)
    assert arguments.as_of == TODAY
    assert arguments.audience_share == Share(2_500)
    assert arguments.flags.overrides == {"max_weight": "new app"}
    assert arguments.run_id == RunId(dt.datetime(2026, 11, 16, 3, tzinfo=dt.UTC), TODAY, 1)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--as-of", "2026-11-17"], "future"),
        (["--as-of", "16.11.2026"], "YYYY-MM-DD"),
        (["--as-of", "0026-11-16"], "before 1970"),
        (["--audience-share", "-0.1"], "outside 0"),
        (["--audience-share", "1.1"], "outside 0"),
        (["--audience-share", "a quarter"], "not a number"),
        (["--override", "max_weight"], "reason"),
        (["--override", "=because"], "reason"),
        (["--run-id", "monday"], "malformed"),
        (["--run-id", "20261116T030000Z-20261109-1"], "names as_of 2026-11-09"),
        (["--first", "--refresh"], "before a --first run none does"),
        (["--no-such-flag"], "no-such-flag"),
    ],
)
def test_bad_flags_are_refused(flags: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_arguments([*NEEDED, *flags], today=TODAY)
    assert said in str(error.value)
    assert error.value.exit_code == 2


def test_a_control_is_made_with_its_treatment() -> None:
    with pytest.raises(ConfigError, match="is a control, which is made with its treatment"):
        parse_arguments([*NEEDED, "--run-id", "20261116T030000Z-20261116-1-control"], today=TODAY)


moments = st.integers(1_000_000_000, 30_000_000_000).map(lambda seconds: dt.datetime.fromtimestamp(seconds, dt.UTC))
run_ids = st.builds(RunId, moments, st.dates(dt.date(1970, 1, 1)), st.integers(1, 99), st.booleans())


@given(run_ids)
def test_a_run_id_survives_its_text(run_id: RunId) -> None:
    assert RunId.parse(str(run_id)) == run_id


@given(run_ids, run_ids)
def test_run_ids_sort_by_time(one: RunId, other: RunId) -> None:
    if one.started < other.started:
        assert str(one) < str(other)
