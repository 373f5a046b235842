"""Which days are measured again, and what stops one; no Spark."""

import datetime as dt
from typing import Any, cast

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from conf.datasets import DailyDataset
from conf.settings import Settings
from features.errors import MissingDaysError, NotArrivedError
from jobs.outcomes.plan import EXPOSURES, NoAnswers, NotLanded, Plan, plan_days, settings_hash_of, spans
from jobs.outcomes.store import Record
from tests.features.fakes import FakeCatalog
from tests.features.world import AS_OF, ago, days_of, events, settings

LANDED = DailyDataset(path="landed", on_missing="shrink")
LAST = ago(1)
NOW = dt.datetime.combine(AS_OF, dt.time(6), dt.UTC)


def product(**outcomes: Any) -> Settings:
    """A product whose days are mature after two days."""
    keys = {"horizon_days": 2, "new_days": 3, "keep_current_days": 5} | outcomes
    return settings().model_copy(update={"outcomes": type(settings().outcomes).model_validate(keys)})


def catalog(clicks: Any = range(12, 0, -1), answers: Any = range(5, 0, -1), **more: Any) -> FakeCatalog:
    """Events and answers of days so many days ago, one row each."""
    tables = {
        "clicks": days_of((day, events(ago(day), (1, 2, "like"))) for day in clicks),
        "landed": days_of((day, pa.table({"user_id": [1]})) for day in answers),
    }
    return FakeCatalog(cast("SparkSession", None), {**tables, **more})


def plan(of: FakeCatalog, known: Any = None, last: dt.date = LAST, landed: Any = NOW, **changes: Any) -> Plan:
    """The plan up to a day."""
    return plan_days(changes.get("settings", product()), last, of, LANDED, landed, known or {})


def recorded(made: Plan) -> dict[dt.date, Record]:
    """The records that the days of a plan leave."""
    more: dict[str, Any] = {"file": "", "sha256": "", "rows": 0, "bases": {}, "robots": {}, "served": (), "at": (1,)}
    return {
        day.day: Record(
            day=day.day,
            through=day.through,
            mature=day.mature,
            inputs=day.inputs,
            settings_hash=made.settings_hash,
            new_is_known=day.new_is_known,
            **more,
        )
        for day in made.days
    }


def test_days_are_measured_as_soon_as_they_are_over_and_again_until_they_are_mature() -> None:
    first = plan(catalog())
    assert [(day.day, day.through, day.mature) for day in first.days] == [
        (ago(5), ago(3), True),
        (ago(4), ago(2), True),
        (ago(3), ago(1), True),
        (ago(2), ago(1), False),
        (ago(1), ago(1), False),
    ]
    assert plan(catalog(), recorded(first)).days == ()
    later = plan(catalog(range(12, -1, -1), range(5, -1, -1)), recorded(first), AS_OF, NOW + dt.timedelta(days=1))
    assert [day.day for day in later.days] == [ago(2), ago(1), ago(0)]


def test_a_day_is_measured_again_when_something_that_decides_it_changed() -> None:
    known = recorded(plan(catalog()))
    late = days_of(
        (day, events(ago(day), (1, 2, "like"), *([(3, 4, "like")] * (day == 4)))) for day in range(12, 0, -1)
    )
    # it is of the horizon of two days, and before the three days after it
    assert [day.day for day in plan(_with(clicks=late), known).days] == [
        ago(5), ago(4), ago(3), ago(2), ago(1)
    ]  # fmt: skip
    answered = days_of((day, pa.table({"user_id": [1] * (1 + (day == 3))})) for day in range(5, 0, -1))
    # later days rest on it as well: what it listed may be hit within the two days after it
    assert [day.day for day in plan(_with(landed=answered), known).days] == [ago(5), ago(4), ago(3), ago(2), ago(1)]
    other = product(at=(2,))
    assert len(plan(catalog(), known, settings=other).days) == 5
    assert settings_hash_of(other) != settings_hash_of(product())


def _with(**tables: Any) -> FakeCatalog:
    return FakeCatalog(cast("SparkSession", None), {**catalog().tables, **tables})


def test_a_day_that_was_measured_with_more_is_not_made_worse() -> None:
    known = recorded(plan(catalog()))
    assert plan(catalog(), known, ago(2)).days == ()


def test_without_exposures_and_impressions_nobody_knows_what_was_answered() -> None:
    only_events = FakeCatalog(cast("SparkSession", None), {"clicks": catalog().tables["clicks"]})
    with pytest.raises(NoAnswers, match="no exposures and no dataset of impressions"):
        plan(only_events)


def test_answers_that_are_not_landed_as_a_whole_are_waited_for() -> None:
    unfinished = catalog().tables["landed"] | {LAST: None}
    with pytest.raises(NotLanded, match=f"answers of {LAST} are not landed") as told:
        plan(_with(landed=unfinished))
    assert told.value.exit_code == 75
    with pytest.raises(NotLanded):
        plan(catalog(answers=(5, 4, 3, 2)), landed=NOW - dt.timedelta(hours=7))
    nobody = plan(catalog(answers=(5, 4, 3, 2)))
    assert nobody.days[-1].day == LAST  # the landing was there after that day: nothing was answered


def test_missing_events_stop_the_day_and_spare_the_others() -> None:
    with pytest.raises(MissingDaysError):
        plan(catalog(clicks=range(12, 1, -1)))
    hole = [day for day in range(12, 0, -1) if day != 4]
    made = plan(catalog(clicks=hole))
    assert ([day.day for day in made.days], list(made.refused)) == ([ago(3), ago(2), ago(1)], [ago(5), ago(4)])
    assert [day.new_is_known for day in made.days] == [False, False, False]
    waiting = product()
    clicks = waiting.datasets.events["clicks"].model_copy(update={"on_missing": "wait"})
    datasets = waiting.datasets.model_copy(update={"events": {"clicks": clicks}})
    with pytest.raises(NotArrivedError):
        plan(catalog(clicks=range(12, 1, -1)), settings=waiting.model_copy(update={"datasets": datasets}))


def test_only_what_is_needed_is_read() -> None:
    made = plan(catalog())
    read = spans(made, product())
    assert {name: (one.found[0].day, one.found[-1].day) for name, one in read.items()} == {
        "clicks": (ago(8), ago(1)),
        EXPOSURES: (ago(5), ago(1)),
    }
