"""One test per statistic and run: what changed is an alarm, what varies is none, and alarms are remembered."""

import datetime as dt
from collections.abc import Callable, Sequence

import pytest

from expectations.drift.findings import Accepted, Alarm, Excluded, Finding
from expectations.drift.history import Measured
from expectations.drift.judge import judge
from tests.expectations.drift.weeks import AS_OF, NEW, ago, case, days, history, runs

NOW = dt.datetime(2026, 8, 3, 3, tzinfo=dt.UTC)


def times(factor: float, changed: Sequence[dt.date] = NEW) -> Callable[[dt.date], float]:
    return lambda day: factor if day in changed else 1.0


def found(measured: Sequence[Measured], **other: object) -> Finding:
    (finding,) = judge(history(measured), case(**other))  # type: ignore[arg-type]
    return finding


def alarm_of(finding: Finding, run: str = "run 1") -> Alarm:
    names = Alarm.model_fields.keys() - {"run", "runs"}
    return Alarm(run=run, runs=finding.runs, **finding.model_dump(include=names))


@pytest.mark.parametrize("seed", range(5))
def test_a_healthy_week_is_no_alarm(seed: int) -> None:
    finding = found(days(seed=seed))
    assert finding.state == "ok"
    assert finding.low is not None
    assert finding.value is not None
    assert finding.high is not None
    assert finding.low < finding.value < finding.high


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_changed_week_is_an_alarm_that_says_what_was_expected(factor: float) -> None:
    finding = found(days(times(factor)))
    assert finding.state == "alarm"
    assert finding.days == NEW
    assert finding.value == pytest.approx(10_000 * factor, rel=0.2)
    assert finding.expected == pytest.approx(10_000, rel=0.2)


def test_one_lost_day_is_named() -> None:
    finding = found(days(times(0.02, ago(3))))
    assert finding.state == "alarm"
    assert finding.days == ago(3)


@pytest.mark.parametrize("first", range(8, 15))
def test_a_run_on_another_weekday_is_no_alarm(first: int) -> None:
    """A run that comes days later has more new days, and whole weeks of them in any case."""
    assert found(days(), new=ago(*range(1, first))).state == "ok"


def test_a_bad_week_among_good_new_ones_is_an_alarm() -> None:
    finding = found(days(times(0.5, ago(*range(8, 15)))), new=ago(*range(1, 22)))
    assert finding.state == "alarm"
    assert finding.days == ago(*range(8, 15))


@pytest.mark.parametrize(("weeks", "state"), [(20, "ok"), (6, "learning")])
def test_a_new_week_of_which_nothing_is_known_is_passed_over(weeks: int, state: str) -> None:
    """As after a week without a run, whose first days no window reads any more."""
    measured = [one for one in days(weeks=weeks) if one.day not in ago(*range(8, 15))]
    finding = found(measured, new=ago(*range(1, 15)))
    assert (finding.state, finding.days) == (state, NEW)


def test_with_less_than_eight_weeks_it_learns() -> None:
    finding = found(days(times(0.1), weeks=8))
    assert (finding.state, finding.why) == ("learning", "7 of 8 weeks")
    assert found(days(times(0.1), weeks=9)).state == "alarm"


def test_known_days_are_not_judged_and_are_no_past() -> None:
    assert found(days(times(0.2)), known_days=NEW).state == "not judged"
    holidays = ago(15, 16)
    usual = found(days())
    assert found(days(times(0.1, holidays)), known_days=holidays).expected == pytest.approx(usual.expected, rel=0.02)


def test_a_day_that_raised_an_alarm_stays_alarmed_until_it_changes() -> None:
    bad = ago(*range(8, 15))  # the week before, whose run was stopped; today's are good, and all that is asked about
    measured = days(times(0.5, bad))
    first = found(measured, new=bad)
    assert first.state == "alarm"
    remembered = [alarm_of(first)]
    again = found(measured, alarms=remembered)
    assert (again.state, again.since, again.runs, again.days) == ("alarm", "run 1", 2, bad)

    mended = days()
    changed = [Measured(**{**vars(one), "made_of": "mended"}) if one.day in bad else one for one in mended]
    assert found(changed, alarms=remembered).state == "ok"
    assert found(measured, alarms=remembered, read_days={"clicks": NEW}).state == "ok"  # no longer read


def test_alarmed_days_are_no_past() -> None:
    """Otherwise a second bad week would look like the first."""
    bad = ago(*range(1, 15))
    first = found(days(times(0.5, bad)), new=ago(*range(8, 15)))
    again = found(days(times(0.5, bad)), alarms=[alarm_of(first)], read_days={"clicks": NEW})
    assert again.state == "alarm"
    assert again.expected == pytest.approx(10_000, rel=0.2)


def test_an_accepted_shift_is_silent_and_a_change_from_the_new_level_is_not() -> None:
    measured = days(times(0.5))
    alarm = found(measured)
    accepted = [Accepted(name="clicks.events", days=alarm.days, shift=alarm.shift, reason="app 7", by="anna", at=NOW)]
    assert found(measured, accepted=accepted, alarms=[alarm_of(alarm)]).state == "ok"

    later = days(times(0.5, ago(*range(1, 15))))
    alarm = found(later, new=ago(*range(8, 15)))
    accepted = [accepted[0].model_copy(update={"days": alarm.days, "shift": alarm.shift})]
    assert found(later, accepted=accepted).state == "ok"
    gone = days(lambda day: {**dict.fromkeys(ago(*range(8, 15)), 0.5), **dict.fromkeys(NEW, 0.25)}.get(day, 1.0))
    assert found(gone, accepted=accepted).state == "alarm"


def test_an_excluded_day_is_neither_judged_nor_past() -> None:
    excluded = [Excluded(dataset="clicks", day=day, reason="half of it", by="anna", at=NOW) for day in ago(3)]
    assert found(days(times(0.02, ago(3))), excluded=excluded).state == "ok"


@pytest.mark.parametrize(("mode", "blocks"), [("block", True), ("warn", False)])
def test_settings_say_what_an_alarm_does(mode: str, blocks: bool) -> None:
    for name in ("events", "clicks.events"):
        assert found(days(times(0.5)), modes={name: mode}).blocks is blocks
    assert judge(history(days(times(0.5))), case(modes={"clicks.events": "off"})) == ()


GINI = [0.60, 0.61, 0.605, 0.595, 0.60, 0.612, 0.60, 0.598, 0.603, 0.601]


def test_a_run_is_compared_with_runs_made_alike() -> None:
    finding = found(runs([*GINI, 0.75]))
    assert (finding.state, finding.days) == ("alarm", (AS_OF,))
    others = ["ours"] * 10 + ["another recipe"]
    assert found(runs([*GINI, 0.75], made_of=others)).state == "learning"
    between = [*GINI, 0.90, 0.602]
    assert found(runs(between, made_of=["ours"] * 10 + ["cold", "ours"])).state == "ok"


def test_a_loss_counts_where_only_a_loss_harms() -> None:
    assert found(runs([*GINI, 0.3], name="full")).state == "alarm"
    assert found(runs([*GINI, 0.9], name="full")).state == "ok"


def test_names_that_this_code_does_not_know_are_left_out() -> None:
    assert judge(history(runs(GINI, name="of the future")), case()) == ()


def test_numbers_of_an_earlier_run_of_the_same_day_are_not_this_ones() -> None:
    measured = [*runs([*GINI, 0.75]), *runs([*GINI, 0.602], name="coverage")]
    (finding,) = judge(history(measured), case(), [("lists", "lists", "coverage")])
    assert (finding.name, finding.state) == ("coverage", "ok")


@pytest.mark.parametrize(("age", "state"), [(2.0, "ok"), (5.0, "ok"), (8.0, "ok"), (13.0, "alarm"), (36.0, "alarm")])
def test_a_snapshot_may_be_some_days_older_when_the_run_comes_on_another_weekday(age: float, state: str) -> None:
    ages = [*[2.0] * 40, age]
    measured = [
        Measured("snapshot", "subscriptions", "age", AS_OF - dt.timedelta(weeks=len(ages) - 1 - week), value, 1, "")
        for week, value in enumerate(ages)
    ]
    assert found(measured, false_alarms_per_year=1 / 80).state == state  # as with 80 statistics
