"""The week's decision, with sums made by hand and a real pointer: what goes in and is kept, how a stop is enforced."""

import datetime as dt
import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import redis

from conf.experiment import Experiment
from conf.ramp import RampSettings
from conf.settings import Settings
from conf.share import Share
from jobs.experiments.deciding import Deciding, NotMeasured
from jobs.experiments.decisions import Approval, DamagedDecision, DecisionRecord, DecisionStore
from jobs.experiments.store import ExperimentError, ExperimentStore
from jobs.experiments.weeks import CountsOfSlice, SumsRecord, WeekOfSums, WeekStore
from jobs.storage.store import Storage
from publish.operate.control import Control
from tests.features.world import settings
from tests.jobs.experiments.test_store import experiment
from tests.models.experiment.test_decide import experiment as moments_of
from tests.publish.support.pushing import publish_directly

_NUMBERS = itertools.count()
SALT, NAME = "more-days-1", "more-days"
FIRST_DAY = dt.date(2026, 11, 16)
NOW = dt.datetime(2026, 11, 23, 5, 30, tzinfo=dt.UTC)
AUTO: dict[str, Any] = {"approve": "auto", "guardrails": {"events": {"margin": 0.01}}}


class World:
    """A product with an open experiment and a pointer of its own."""

    def __init__(self, tmp_path: Path, client: redis.Redis) -> None:
        self.client = client
        self.product = f"ramped_{os.getpid()}_{next(_NUMBERS)}"
        self.home = Storage(str(tmp_path))
        self.control = Control.connect(client, self.product)
        self.experiments = ExperimentStore.of(self.home, self.product)
        self.experiment: Experiment = experiment(product=self.product, first_day=FIRST_DAY)
        self.experiments.add(self.experiment)
        self.decisions = DecisionStore.of(self.experiments, NAME)

    def serve(self, share_bp: int, *, salt: str = SALT, control: bool = False) -> str:
        """Lets a new run serve this share."""
        beside = publish_directly(self.client, self.product, role="control").run if control else None
        run = publish_directly(
            self.client, self.product, control=beside, share_bp=Share(share_bp), salt=salt, first=True
        )
        self.control.promote(run.run)
        return run.run

    def measure(self, shares: Sequence[int], lift: float = 0.0, *, lost: float = 0.0, users: int = 200_000) -> None:
        """Keeps the sums of weeks of these shares; lost: the part of the treated users who were never seen."""
        moments = moments_of(lift, shares, users)
        later = (0,) * (len(shares) - 1)
        counts = []
        for part in moments:
            seen = round(20 * part.width_bp * (1 - lost * part.is_treated(shares[0])))
            counts.append(
                CountsOfSlice(
                    low_bp=part.low_bp,
                    high_bp=part.high_bp,
                    first_seen=(0, seen, *later),
                    joined=(0, 20 * part.width_bp, *later),
                    robots=(0, 0, *later),
                )
            )
        record = SumsRecord(
            product=self.product,
            experiment=NAME,
            salt=SALT,
            inputs="",
            weeks=tuple(_week(number, share) for number, share in enumerate([None, *shares])),
            slices=tuple(counts),
            metrics=("events",),
            categories_left_out=0,
        )
        rows = [
            {"metric": "events", "low_bp": part.low_bp, "high_bp": part.high_bp, "moments": some.to_bytes()}
            for part, some in moments.items()
        ]
        WeekStore.of(self.experiments, NAME).write_sums(record, rows)

    def deciding(self, ramp: dict[str, Any] | None = None) -> Deciding:
        found = Deciding.of(self.settings(AUTO if ramp is None else ramp), self.home, self.control, NOW)
        assert found is not None
        return found

    def settings(self, ramp: dict[str, Any] | None) -> Settings:
        made = None if ramp is None else RampSettings.model_validate(ramp)
        ours = settings()
        rollout = ours.rollout.model_copy(update={"ramp": made})
        return ours.model_copy(update={"product": self.product, "rollout": rollout})

    def decide(self, weeks: int, ramp: dict[str, Any] | None = None, *, wait: bool = False) -> DecisionRecord:
        """Decides when so many weeks are over."""
        return self.deciding(ramp).decide(FIRST_DAY + dt.timedelta(weeks=weeks), wait=wait)


def _week(number: int, share: int | None) -> WeekOfSums:
    first = FIRST_DAY + dt.timedelta(weeks=number - 1)
    last = first + dt.timedelta(days=6)
    return WeekOfSums(
        number=number,
        first=first,
        last=last,
        through=last,
        mature=True,
        new_is_known=True,
        basis="answered",
        audience="",
        served=(),
        share_bp=share,
    )


@pytest.fixture
def world(tmp_path: Path, redis_url: str) -> World:
    return World(tmp_path, redis.Redis.from_url(redis_url))


def test_without_a_ramp_or_an_open_experiment_nothing_is_decided(world: World) -> None:
    assert Deciding.of(world.settings(None), world.home, world.control, NOW) is None
    world.experiments.close(world.experiment, NOW, "done")
    assert Deciding.of(world.settings(AUTO), world.home, world.control, NOW) is None


def test_the_first_step_needs_no_outcomes_and_no_approval(world: World) -> None:
    world.serve(10_000, salt="of before")
    made = world.decide(0, {}, wait=True)
    assert str(made) == "raise at 1 %: the first step"
    assert (made.run_share_bp, made.before_bp, made.week, made.sums) == (Share(100), Share(0), 0, None)


def test_a_week_is_decided_once(world: World) -> None:
    world.serve(100)
    world.measure([100])
    made = world.decide(1)
    assert (made.action, made.share_bp, made.before_bp) == ("raise", Share(500), Share(100))
    assert made.sums is not None
    world.control.share(Share(0))
    world.measure([100], lift=-0.2)
    assert world.decide(1) == made == world.decisions.find(1)
    monday = world.experiment.first_day + dt.timedelta(weeks=1)
    assert world.deciding().decide(monday + dt.timedelta(days=6), wait=False) == made


def test_an_approval_counts_at_the_next_decision(world: World) -> None:
    manual = {**AUTO, "approve": "manual"}
    world.serve(100)
    world.measure([100])
    held = world.decide(1, manual)
    assert str(held) == "hold at 1 %: 5 % waits for an approval"
    world.decisions.approve(Approval(share_bp=Share(500), approved=NOW, who="ann", reason="fine"))
    assert world.decide(1, manual) == held
    world.measure([100, 100])
    made = world.decide(2, manual)
    assert (made.action, made.share_bp, made.approved_bp) == ("raise", Share(500), Share(500))


def test_outcomes_that_are_not_there_are_waited_for_or_the_share_is_held(world: World) -> None:
    world.serve(100)
    with pytest.raises(NotMeasured, match=r"week 1 of .*--day 2026-11-22") as raised:
        world.decide(1, wait=True)
    assert raised.value.exit_code == 75
    assert world.decisions.all() == []
    assert str(world.decide(1)) == "hold at 1 %: the outcomes of last week are not there yet"


def test_harm_is_not_forgotten_while_nobody_is_treated(world: World) -> None:
    """A switch that was on when harm was seen, then off: the ramp does not begin anew as if nothing had been."""
    world.serve(2_500)
    world.measure([2_500], lift=-0.05)
    world.control.share(Share(0))
    assert str(world.decide(1)) == "hold at 0 %: the kill switch is on"
    world.serve(100)
    world.control.share(Share(10_000))
    before = world.serve(10_000, salt="of before")  # nobody is treated by the experiment's salt
    made = world.decide(2, wait=True)  # and week 2 is not measured
    assert (made.action, made.before_bp) == ("stop", Share(0))
    assert "worse than the margin" in made.reasons[0]
    assert made.sums is not None
    pointer = world.control.pointers.read()
    assert (pointer.treatment, pointer.share_bp) == (before, Share(10_000))  # its users keep their lists
    assert made.enforced == ("held, and not rolled back: no run of the experiment serves",)


def test_a_share_that_did_not_hold_for_a_week_is_held(world: World) -> None:
    world.serve(500)
    world.measure([100])
    assert str(world.decide(0)) == "hold at 5 %: no whole week at 5 % is measured yet"
    assert str(world.decide(1)) == "hold at 5 %: no whole week at 5 % is measured yet"


def test_a_broken_guardrail_stops_caps_and_rolls_back(world: World) -> None:
    before = world.serve(100, control=True)
    served = world.serve(2_500, control=True)
    world.measure([2_500], lift=-0.05)
    made = world.decide(1)
    assert (made.action, made.share_bp) == ("stop", Share(0))
    assert "worse than the margin" in made.reasons[0]
    assert [rail.state for rail in made.guardrails] == ["broken"]
    pointer = world.control.pointers.read()
    assert (pointer.treatment, pointer.cap_bp, pointer.share_bp) == (before, Share(0), Share(0))
    assert pointer.control is not None
    assert pointer.hold is not None
    assert made.enforced == ("the share is capped at 0 %", f"rolled back from {served} to {before}, and held")
    assert world.decide(1) == made
    assert world.control.pointers.read() == pointer


def test_what_people_do_after_a_stop_stays(world: World) -> None:
    world.serve(100)
    world.serve(2_500)
    world.measure([2_500], lift=-0.05)
    world.decide(1)
    world.control.unhold()
    world.control.share(Share(10_000))
    pointer = world.control.pointers.read()
    assert str(world.decide(2)) == "stop at 0 %: it was stopped before"
    assert world.control.pointers.read() == pointer


def test_a_stop_takes_no_list_from_anybody_who_has_one(world: World) -> None:
    world.serve(10_000, salt="of before")
    served = world.serve(2_500, control=True)
    world.measure([2_500], lift=-0.05)
    made = world.decide(1)
    pointer = world.control.pointers.read()
    assert (pointer.treatment, pointer.share_bp) == (served, Share(0))
    assert pointer.control is not None
    assert pointer.hold is not None
    assert made.enforced is not None
    assert "the run before has no control" in made.enforced[1]


def test_a_stop_that_was_interrupted_is_enforced_by_the_next_start(world: World) -> None:
    world.serve(100)
    world.serve(2_500)
    world.measure([2_500], lift=-0.05)
    made = world.decide(1)
    world.control.unhold()
    world.control.share(Share(10_000))
    world.serve(2_500)
    world.decisions.write(made.model_copy(update={"enforced": None}))
    world.control.share(Share(0))  # as far as it came
    again = world.decide(1)
    assert (again.action, again.reasons) == ("stop", made.reasons)
    assert again.enforced is not None
    assert again.enforced[1].startswith("rolled back from")
    assert world.control.pointers.read().hold is not None


def test_the_kill_switch_wins_and_lists_are_made_nevertheless(world: World) -> None:
    world.serve(2_500)
    world.control.share(Share(0))
    made = world.decide(1, wait=True)
    assert str(made) == "hold at 0 %: the kill switch is on"
    assert made.run_share_bp == Share(100)


def test_a_hold_and_a_cap_win(world: World) -> None:
    world.serve(2_500)
    world.measure([2_500])
    world.control.share(Share(300))
    world.control.hold("wait")
    made = world.decide(1, wait=True)
    assert str(made) == "hold at 3 %: an operator holds the share"
    assert (made.held, made.cap_bp) == ("wait", Share(300))
    world.control.unhold()
    world.measure([2_500, 300])
    assert str(world.decide(2)) == "hold at 3 %: an operator's cap is 3 %"


def test_a_mismatch_holds_and_no_effect_is_shown(world: World) -> None:
    world.serve(2_500)
    world.measure([2_500], lift=-0.05, lost=0.1)
    made = world.decide(1)
    assert made.action == "hold"
    assert made.reasons[0].startswith("sample-ratio mismatch: 45,000 users of the treatment were seen")
    assert made.guardrails == ()


def test_a_metric_that_nobody_did_holds(world: World) -> None:
    world.serve(2_500)
    world.measure([2_500])
    made = world.decide(1, {"approve": "auto", "guardrails": {"events:event=join": {}}})
    assert str(made) == "hold at 25 %: events:event=join: not measured: nobody did any of it"


def test_without_guardrails_it_rises_when_somebody_approves(world: World) -> None:
    world.serve(500)
    world.measure([500])
    assert str(world.decide(1, {})) == "hold at 5 %: 25 % waits for an approval"


def test_weeks_are_decided_in_their_order(world: World) -> None:
    world.decide(2)
    with pytest.raises(ExperimentError, match="was decided as of 2026-11-30 already"):
        world.decide(1)


def test_a_decision_that_cannot_be_read_is_named(world: World) -> None:
    world.decide(0)
    path = "decisions/week-00.json"
    folder = world.experiments.folder(NAME)
    folder.write_bytes(path, folder.read_bytes(path).replace(b'"raise"', b'"rise"'))
    with pytest.raises(DamagedDecision, match=r"decisions/week-00.json cannot be read .*action"):
        world.decide(0)
