"""How long and how large: from an experiment's sums, from measured days, from what was given."""

import datetime as dt
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from numpy.random import default_rng

from conf import contract
from conf.judging import JudgingSettings
from jobs.cli.views.experiment_report import planned
from jobs.experiments.planning import (
    PlannedMetric,
    Source,
    given,
    newest_measured,
    of_outcomes,
    of_sums,
    plan_experiment,
    warnings_of_shares,
)
from jobs.experiments.store import ExperimentStore
from jobs.experiments.weeks import WeekStore
from jobs.outcomes.store import OutcomeStore, Record
from jobs.storage.store import Storage
from models.experiment.effects import NoEffect
from models.experiment.plan import Past, past_of_groups
from tests.jobs.experiments.measured import measured
from tests.jobs.experiments.test_store import experiment

DAY = dt.date(2026, 11, 2)


def lifts_of(source: Source, shares: list[int], **settings: object) -> list[float | None]:
    made = plan_experiment("told", source, shares, JudgingSettings.model_validate(settings), 0.8)
    (one,) = made.metrics
    assert isinstance(one, PlannedMetric)
    assert planned(made).data["metrics"][0]["weeks"][0]["share_bp"] == shares[0]
    return [None if week.found is None else week.found.lift for week in one.weeks]


def test_more_weeks_more_users_and_fewer_metrics_find_less() -> None:
    small, large = (given("new", users, 1.0, 2.0, 0.5) for users in (100_000, 400_000))
    first, *_, last = lifts_of(small, [2_500] * 4, metrics=["new"], cuped=False)
    assert first is not None
    assert last is not None
    assert first == pytest.approx(2.8 * 2 / (18_750**0.5), rel=0.03)  # 2.8 standard errors
    assert last < first
    (quarter,) = lifts_of(large, [2_500], metrics=["new"], cuped=False)
    assert quarter == pytest.approx(first / 2, rel=0.01)
    assert lifts_of(small, [2_500], cuped=False)[0] > first  # type: ignore[operator]  # it shares its error with another


def test_weeks_with_too_few_users_are_said_and_others_planned() -> None:
    made = plan_experiment("told", given("new", 20_000, 1.0, 2.0, None), [100, 500, 2_500], JudgingSettings(), 0.8)
    (one,) = made.metrics
    assert isinstance(one, PlannedMetric)
    assert [week.found is None for week in one.weeks] == [True, False, False]
    said = planned(made)
    assert "too few users" in said.text
    assert (
        "assumed: two weeks of the same user are taken to be correlated by 0.5: no --correlation was given" in said.text
    )
    nobody = plan_experiment("told", given("new", 2_000, 1.0, 2.0, None), [100], JudgingSettings(), 0.8)
    assert "new: too few users" in planned(nobody).text


def test_sums_of_an_experiment_say_how_users_differ(tmp_path: Path) -> None:
    experiments = ExperimentStore.of(Storage(str(tmp_path)), "test")
    assert newest_measured(experiments, None) is None
    experiments.add(experiment())
    store = WeekStore.of(experiments, "more-days")
    measured(store, [2_500, 2_500], {"new": 0.0, "events": 0.0, "hits/answers": 0.0})
    found = newest_measured(experiments, None)
    assert found is not None
    source = of_sums(*found, ["new", "hits/answers", "amount:event=buy"], None)
    new = source.pasts["new"]
    assert isinstance(new, Past)
    assert (new.users, new.mean) == (40_000, pytest.approx(1.0, abs=0.03))
    assert new.deviation == pytest.approx(1.5**0.5, rel=0.03)  # Poisson of a Gamma
    assert new.correlation == pytest.approx(0.5 / 1.5, abs=0.03)
    assert isinstance(source.pasts["hits/answers"], Past)
    assert str(source.pasts["amount:event=buy"]) == "not measured: nobody did any of it"
    assert source.assumed == ()
    fewer = of_sums(*found, ["new"], 5_000)
    assert isinstance(fewer.pasts["new"], Past)
    assert (fewer.pasts["new"].users, len(fewer.assumed)) == (5_000, 1)


def test_totals_of_groups_say_how_users_differ() -> None:
    rng = default_rng(1)
    users, groups = 200_000, 128
    group, habit = rng.integers(0, groups, users), rng.gamma(2.0, 0.5, users)
    weeks = [np.bincount(group, rng.poisson(habit), groups) for _ in range(6)]
    found = past_of_groups(np.array(weeks), users)
    assert isinstance(found, Past)
    assert found.mean == pytest.approx(1.0, abs=0.02)
    assert found.deviation == pytest.approx(1.5**0.5, rel=0.25)
    assert found.correlation == pytest.approx(1 / 3, abs=0.25)
    one = past_of_groups(np.array(weeks[:1]), users)
    assert isinstance(one, Past)
    assert one.correlation == 0
    assert isinstance(past_of_groups(np.ones((2, groups)), users), NoEffect)
    assert "too few users" in str(past_of_groups(np.array(weeks), 100))


def day_of(number: int, *, mature: bool = True) -> tuple[Record, pa.Table]:
    """A measured day on which 50,000 users were answered, by groups."""
    hits = default_rng(number).integers(20, 95, contract.USER_GROUPS)
    figures = {"group_hits": hits.tolist(), "group_users": [50] * 128, "group_answers": [60] * 128}
    row = dict.fromkeys(contract.outcomes().names) | {
        "day": DAY + dt.timedelta(days=number),
        "basis": "answered",
        "arm": "treatment",
        "by": "all",
        **figures,
    }
    record = Record(
        day=DAY + dt.timedelta(days=number),
        file="",
        sha256="",
        rows=0,
        through=DAY,
        mature=mature,
        inputs="",
        settings_hash="",
        bases={"answered": 7_680},
        new_is_known=True,
        robots={},
        served=(),
        at=(1,),
    )
    return record, pa.Table.from_pylist([row], schema=contract.outcomes())


def test_measured_days_say_it_where_there_was_no_experiment(tmp_path: Path) -> None:
    store = OutcomeStore.of(Storage(str(tmp_path)), "test")
    assert of_outcomes(store, ["hits"], 50_000, "as given") is None
    for number in range(16):
        store.write(*day_of(number, mature=number < 15))
    source = of_outcomes(store, ["hits", "new"], 50_000, "as given")
    assert source is not None
    assert source.said.startswith("2 weeks of outcomes (2026-11-03 to 2026-11-16) of 50,000 users")
    assert isinstance(source.pasts["hits"], Past)
    assert "measured days know hits and answers only" in str(source.pasts["new"])


@pytest.mark.parametrize(
    ("users", "share", "said"),
    [
        (10_000, 500, None),
        (9_999, 500, "share 5 % treats about 499 of 9,999 users, and nothing is decided by fewer than 500"),
        (3_280, 500, "begin with at least 15.3 %"),
        (3_280, 9_500, "share 95 % leaves about 164 of 3,280 users in the control, and"),
        (999, 500, "an audience of 999 users is too small"),
        (0, 500, "an audience of 0 users is too small"),
    ],
)
def test_a_first_share_that_decides_nothing_is_warned_of(users: int, share: int, said: str | None) -> None:
    found = warnings_of_shares(users, [share])
    assert len(found) == (said is not None)
    assert said is None or said in found[0]


def test_a_later_share_that_leaves_too_few_in_the_control_is_warned_of() -> None:
    (found,) = warnings_of_shares(4_000, [2_500, 5_000, 9_500])
    assert found.startswith("from share 95 % on about 200 of 4,000 users are in the control, and nothing is decided by")
    assert found.endswith("end with at most 87.5 % to go on measuring")
    assert not warnings_of_shares(4_000, [2_500, 5_000, 8_750])
    assert len(warnings_of_shares(4_000, [500, 9_500])) == 1  # that of the first


def test_a_plan_says_what_its_first_share_cannot_decide() -> None:
    for users, is_warned in ((9_000, True), (10_000, False)):
        made = planned(plan_experiment("told", given("new", users, 1.0, 2.0, 0.5), [500] * 4, JudgingSettings(), 0.8))
        assert bool(made.data["warnings"]) is is_warned
        assert ("warning: " in made.text) is is_warned
