"""A run that is resumed keeps the settings and the share that it was begun with; a new one asks the ramp."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from conf.experiment import RunPart
from conf.load import config_hash
from conf.ramp import RampSettings
from conf.run_flags import RunFlags
from conf.settings import Settings
from conf.share import EVERYBODY, Share
from jobs.experiments.decisions import DecisionStore
from jobs.experiments.store import ExperimentError, ExperimentStore
from jobs.run.arguments import Arguments
from jobs.run.manifest import Manifest, run_folder, save_manifest
from jobs.run.open_run import RunConflict, _allowed_share, _refuse_other_request
from jobs.run.run_id import RunId
from jobs.storage.store import Storage
from tests.features.world import AS_OF, settings
from tests.jobs.experiments.decided import decision
from tests.jobs.experiments.test_store import experiment
from tests.jobs.runs import RUN_ID, manifest_of

NOW = dt.datetime(2026, 11, 16, 5, tzinfo=dt.UTC)
BEFORE = 100
"""Users per bucket by default, in the version that began the run."""


def product(**publish: int) -> Settings:
    return Settings.model_validate(settings().model_dump(mode="json") | {"publish": publish})


def begun_with(begun: Settings) -> Manifest:
    request = manifest_of().request.model_copy(update={"config_hash": config_hash(begun)})
    return manifest_of(request=request, settings=begun.model_dump(mode="json"))


def test_another_default_refuses_a_run_by_name_until_the_yaml_says_the_old_one() -> None:
    known, today = begun_with(product(users_per_bucket=BEFORE)), product()
    asked = known.request.model_copy(update={"config_hash": config_hash(today)})
    number = today.publish.users_per_bucket
    with pytest.raises(RunConflict, match=f"publish.users_per_bucket is {BEFORE} there and {number} here; repeat its"):
        _refuse_other_request(known, asked, today)
    _refuse_other_request(known, known.request, product(users_per_bucket=BEFORE))


def test_another_flag_is_named_without_the_settings() -> None:
    known = begun_with(product())
    with pytest.raises(RunConflict, match=r"something else: share_bp is .* there and .* here; repeat its"):
        _refuse_other_request(known, known.request.model_copy(update={"share_bp": 1}), product(users_per_bucket=BEFORE))


class Ramped:
    """A product with an open experiment and a ramp, of which decisions are kept."""

    def __init__(self, folder: Path) -> None:
        self.home = Storage(str(folder))
        ours = settings()
        rollout = ours.rollout.model_copy(update={"ramp": RampSettings()})
        self.settings = ours.model_copy(update={"rollout": rollout})
        self.experiments = ExperimentStore.of(self.home, ours.product)
        self.experiment = experiment(first_day=AS_OF)
        self.experiments.add(self.experiment)

    def decide(self, week: int, share: int, *, action: str = "raise") -> None:
        kept = DecisionStore.of(self.experiments, self.experiment.name)
        kept.write(decision(week=week, action=action, share_bp=share, run_share_bp=max(share, 100)))

    def share(self, *, week: int = 0, run_id: str | None = None, **asked: Any) -> float:
        as_of = AS_OF + dt.timedelta(weeks=week)
        known = None if run_id is None else RunId.parse(run_id)
        given = {"audience_share": None, "config": Path("p.yml"), "as_of": as_of, "run_id": known, **asked}
        return int(_allowed_share(self.settings, Arguments(RunFlags(), **given), self.home)) / 100


def test_without_a_share_on_the_command_line_the_ramp_is_asked(tmp_path: Path) -> None:
    ramped = Ramped(tmp_path)
    assert ramped.share() == 1  # before any decision: the first step
    ramped.decide(0, 500)
    assert [ramped.share(week=week) for week in (0, 1)] == [5, 5]
    ramped.decide(1, 2_500)
    ramped.decide(2, 5_000)
    assert [ramped.share(week=week) for week in (0, 1, 2)] == [5, 25, 25]  # by hand at most max_manual_share
    assert ramped.share(week=2, trigger_id="scheduled__1") == 50
    assert ramped.share(week=2, audience_share=Share(300)) == 3
    ramped.decide(3, 0, action="hold")  # the kill switch: lists are made nevertheless
    assert ramped.share(week=3) == 1


def test_a_stopped_experiment_has_no_share_and_a_closed_one_that_of_the_settings(tmp_path: Path) -> None:
    ramped = Ramped(tmp_path)
    ramped.decide(0, 0, action="stop")
    with pytest.raises(ExperimentError, match=r"was stopped, so no share is decided: discovery experiment close; or"):
        ramped.share(week=1)
    assert ramped.share(week=1, audience_share=Share(300)) == 3
    ramped.experiments.close(ramped.experiment, NOW, "it did harm")
    assert ramped.share(week=1) == 25


@pytest.mark.parametrize("role", ["treatment", "control"])
def test_a_resumed_run_keeps_its_share_whatever_was_decided_since(tmp_path: Path, role: str) -> None:
    ramped, known = Ramped(tmp_path), manifest_of()
    part = RunPart.model_validate({"experiment": "more-days", "role": role, "control": "pinned", "opened": NOW})
    if part.is_control:
        request = known.request.model_copy(update={"run_id": f"{RUN_ID}-control", "share_bp": EVERYBODY})
        part = part.model_copy(update={"treatment_share_bp": Share(1_000)})
    else:
        request = known.request.model_copy(update={"share_bp": Share(1_000)})
    folder = run_folder(ramped.home, "test", request.run_id)
    save_manifest(folder, manifest_of(request=request, experiment=part))
    ramped.decide(0, 500)
    assert (ramped.share(run_id=RUN_ID), ramped.share()) == (10, 5)
