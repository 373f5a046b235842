"""What an experiment has shown, from sums made by hand: mismatch first, then effects; a word instead of a number."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from conf.judging import METRIC_NAMES, JudgingSettings
from jobs.cli.views.experiment_report import reported
from jobs.experiments.report import NoResult, NothingMeasured, Report, Reporting, Result, newest_sums, shares_to_come
from jobs.experiments.weeks import SumsRecord, WeekStore
from jobs.experiments.words import headline, weeks_said
from jobs.storage.store import Storage
from models.experiment.decide import Guardrail
from models.experiment.metric import BASE, RATIOS
from tests.jobs.experiments.measured import measured, week_of
from tests.jobs.experiments.test_store import experiment

LIFTS = {"events": 0.0, "new": 0.1, "new:category=news": 0.2, "new:category=sport": 0.0}


@pytest.fixture
def store(tmp_path: Path) -> WeekStore:
    return WeekStore(Storage(str(tmp_path)))


def report(store: WeekStore, record: SumsRecord, *, weeks: int = 4, closed: bool = False, **changes: Any) -> Report:
    ended = {"closed": dt.datetime(2026, 12, 20, tzinfo=dt.UTC), "reason": "it won"} if closed else {}
    one = experiment(product="told", name="bigger", **ended)
    fields: dict[str, Any] = {"judged_by": JudgingSettings(weeks=weeks), **changes}
    return Reporting(one, record, store, **fields).report()


def test_a_planted_lift_is_found_and_nothing_else(store: WeekStore) -> None:
    made = report(store, measured(store, [500, 2_500, 5_000], LIFTS))
    new, events = made.effects or ()
    assert isinstance(new, Result)
    assert isinstance(events, Result)
    assert (new.state, events.state, new.weeks, [one.week for one in new.readings]) == (
        "more",
        "undecided",
        (1, 2, 3),
        [1, 2, 3],
    )
    for reading in new.readings[1:]:
        assert reading.lift_interval is not None
        assert reading.lift_interval.low < 0.1 < reading.lift_interval.high
    assert 0.7 < new.informed < 1
    assert [(one.metric, one.state) for one in made.categories["new"] if isinstance(one, Result)] == [
        ("new:category=news", "shown"),
        ("new:category=sport", "shown"),
    ]
    assert (made.carried_over, made.is_mismatch) == ([], False)
    assert headline(made).startswith("More new (+")
    assert "events  " in reported(made).text


def test_the_last_planned_week_spends_what_is_left_and_later_ones_are_in_no_effect(store: WeekStore) -> None:
    record = measured(store, [2_500] * 3, LIFTS)
    early, last, late = (report(store, record, weeks=weeks) for weeks in (8, 3, 2))
    widths = []
    for made in (early, last):
        (new, _) = made.effects or ()
        assert isinstance(new, Result)
        assert new.newest.interval is not None
        widths.append(new.newest.interval.high - new.newest.interval.low)
    assert widths[1] < widths[0]
    (new, _) = late.effects or ()
    assert isinstance(new, Result)
    assert (new.weeks, new.informed) == ((1, 2), 1.0)
    assert "weeks after week 2 were not planned, so they are in no effect" in late.notes


def test_what_was_read_in_a_week_is_read_again_later(store: WeekStore) -> None:
    """Bounds that moved with each week's plan would be crossed too often, since each report is read in its week."""
    read = []
    for weeks in (2, 4):
        record = measured(store, [2_500] * weeks, {"events": 0.0})
        (events,) = report(store, record, judged_by=JudgingSettings(weeks=6, metrics=("events",))).effects or ()
        assert isinstance(events, Result)
        read.append([one.interval for one in events.readings[:2]])
    for then, now in zip(*read, strict=True):
        assert then is not None
        assert now is not None
        assert (now.low, now.high) == pytest.approx((then.low, then.high), rel=0.02)


def test_on_a_mismatch_no_effect_is_shown(store: WeekStore) -> None:
    rails = [Guardrail("events", 0.01)]
    made = report(store, measured(store, [5_000, 5_000], LIFTS, lost=0.2), guardrails=rails)
    assert (made.is_mismatch, made.effects, made.categories, made.harms, made.others) == (True, None, {}, (), ())
    said = reported(made)
    assert "sample-ratio mismatch: " in said.text
    assert "no sample-ratio mismatch" in said.text  # of the audience
    assert (said.data["effects"], said.data["mismatch"]["seen"]["found"]) == (None, True)
    assert "new" not in said.text


def test_carry_over_is_said(store: WeekStore) -> None:
    made = report(store, measured(store, [5_000], LIFTS, before=0.2))
    assert made.carried_over == ["new", "events"]
    assert "both arms differed in week 0: new, events" in reported(made).text


def test_guardrails(store: WeekStore) -> None:
    lifts = {**LIFTS, "answers": -0.2, "hits/answers": 0.0}
    rails = [Guardrail(name, 0.01) for name in ("answers", "events", "hits/answers", "amount:event=buy")]
    made = report(store, measured(store, [2_500, 2_500], lifts), guardrails=rails)
    assert [harm.state for harm in made.harms if harm.guardrail.metric in {"answers", "amount:event=buy"}] == [
        "broken",
        "unknown",
    ]
    assert headline(made).startswith("Guardrail broken: answers; more new")
    assert "guardrail   broken: answers -" in reported(made).text


@pytest.mark.parametrize(
    ("shares", "changes", "word"),
    [
        ([None, None], {}, "share 0 %: nobody was treated"),
        ([10_000], {}, "share 100 %: nobody was left to compare with"),
        ([100], {"users": 9_000}, "too few users"),
        ([2_500], {"constant": ["new"]}, "constant: all users have the same value"),
        ([2_500], {"weeks": (week_of(0, None), week_of(1, 2_500, new_is_known=False))}, "is not known in any week"),
    ],
)
def test_a_word_where_there_is_no_number(
    store: WeekStore, shares: list[int | None], changes: dict[str, Any], word: str
) -> None:
    made = report(store, measured(store, shares, LIFTS, **changes))
    new, _ = made.effects or ()
    assert isinstance(new, NoResult)
    assert word in new.reason
    said = reported(made)
    assert word in said.text
    assert said.data["effects"][0]["state"] == "unknown"
    said.as_json()


def test_weeks_that_cannot_be_used_are_named(store: WeekStore) -> None:
    weeks = (week_of(0, None), week_of(1, 2_500), week_of(2, None), week_of(3, 2_500, new_is_known=False))
    record = measured(store, [2_500, None, 2_500], LIFTS, weeks=weeks)
    made = report(store, record)
    new, events = made.effects or ()
    assert isinstance(new, Result)
    assert isinstance(events, Result)
    assert (new.weeks, events.weeks) == ((1,), (1, 3))
    text = reported(made).text
    assert "new without week 3: which engagements are new is not known" in text
    assert "events without week 2: share 0 %: nobody was treated" in text


def test_more_metrics_may_be_looked_at_and_decide_nothing(store: WeekStore) -> None:
    record = measured(
        store, [2_500, 2_500], {**LIFTS, "answers": 0.3}, weeks=tuple(map(week_of, range(3), (None, 2_500, 2_500)))
    )
    made = report(store, record, asked_for=["answers", "new", "amount:event=buy"])
    answers, amount = made.others
    assert isinstance(answers, Result)
    assert answers.state == "shown"
    assert amount == NoResult("amount:event=buy", "not measured: nobody did any of it")


def test_a_closed_one_and_what_is_printed_is_json(store: WeekStore) -> None:
    made = report(store, measured(store, [2_500], LIFTS), closed=True)
    said = reported(made)
    assert "closed 2026-12-20 (it won)" in said.text
    assert "Infinity" not in said.as_json()
    assert "NaN" not in said.as_json()


def test_robots_that_differ_are_noted(store: WeekStore) -> None:
    record = measured(store, [5_000], LIFTS)
    slices = [one.model_copy(update={"robots": (0, 900 if one.high_bp <= 5_000 else 100)}) for one in record.slices]
    made = report(store, record.model_copy(update={"slices": tuple(slices), "categories_left_out": 3}))
    assert any(note.startswith("robots: ") for note in made.notes)
    assert "3 smaller categories have no sums" in made.notes


def test_nothing_is_measured_yet(store: WeekStore) -> None:
    with pytest.raises(NothingMeasured, match="no week is measured yet; week 1 ends on 2026-11-23"):
        newest_sums(experiment(), store)


def test_words() -> None:
    assert weeks_said([1, 2, 3, 5, 7, 8]) == "1–3, 5, 7–8"
    assert shares_to_come(500, [100, 500, 2_500, 5_000], 4) == [2_500, 5_000, 5_000, 5_000]
    assert shares_to_come(500, [], 2) == [500, 500]
    assert set(BASE) | set(RATIOS) | {"amount", "owned_amount"} == set(METRIC_NAMES)
