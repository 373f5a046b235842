"""Whatever days settings and `--as-of` name, what is computed from them is a date."""

import datetime as dt
from contextlib import suppress
from typing import cast

from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from conf.base import MAX_DAYS
from conf.errors import ConfigError
from conf.settings import Settings
from features.survey import survey_inputs
from jobs.run.arguments import past_day
from jobs.tuning.parts import part_days
from models.judge.known import new_from
from tests.features.fakes import FakeCatalog
from tests.features.world import settings

FIRST, TODAY = dt.date(1970, 1, 1), dt.date(2200, 1, 1)
DAYS = st.integers(1, MAX_DAYS) | st.just(MAX_DAYS)
WORDS = st.one_of(
    DAYS.map(lambda days: f"{days} days ago"),
    st.integers(1, MAX_DAYS // 7).map(lambda weeks: f"{weeks} weeks ago"),
    st.dates().map(str),
    st.sampled_from(["today", "yesterday", "0001-01-01", "9999-12-31"]),
)


@examples(max_examples=60, deadline=None)
@given(
    as_of=st.dates(FIRST, TODAY) | st.just(FIRST),
    window=st.builds("{}:{}".format, WORDS, WORDS) | WORDS,
    holdout=DAYS,
    age=DAYS,
    more=DAYS,
)
def test_no_setting_in_days_leaves_the_calendar(as_of: dt.date, window: str, holdout: int, age: int, more: int) -> None:
    """A plan, or refused as configuration."""
    tree = settings(sources={"path": "sources", "max_age_days": age}).model_dump(mode="json")
    tree["datasets"]["events"]["clicks"] |= {"max_missing_days": more, "lateness_days": more}
    tree |= {"split": {"holdout_days": holdout}, "judge": {"new_source_days": more}}
    wanted = Settings.model_validate(tree | {"runs": {"partials_keep_days": more}})
    clicks = wanted.datasets.events["clicks"].model_copy(update={"window": window})
    events = wanted.datasets.model_copy(update={"events": {"clicks": clicks}})
    wanted = wanted.model_copy(update={"datasets": events})
    nothing = FakeCatalog(cast("SparkSession", None), {"clicks": {}, "sources": {}})
    day = past_day(as_of, TODAY)
    assert day - dt.timedelta(days=wanted.runs.partials_keep_days) < day
    for end in part_days(wanted, day).values():
        with suppress(ConfigError):
            survey = survey_inputs(wanted, end, nothing)
            assert new_from(survey.cut, wanted.judge) < survey.cut < end
