"""Which recipe is refit when a run goes on, and when the one that won cannot be trained any more."""

from pathlib import Path

import pytest

from conf.recipe import Recipe
from jobs.run.context import Run
from jobs.stages.stage import Facts
from jobs.stages.training import train
from jobs.stages.training.fit import TrainingTask
from models.champion import Champion, contest_of
from models.errors import BadInteractions
from models.registry.lineage import Decision
from tests.features.world import settings
from tests.jobs.runs import RUN_ID, run_in

LONGER = Recipe.of(settings()).model_copy(update={"windows": {"clicks": "9 days ago:today"}})
CONTEST = contest_of(settings(), Champion(run_id=RUN_ID, recipe=LONGER.to_json()))
KEEPS, REPLACES = (Decision(winner=winner, reason="by proof") for winner in ("champion", "challenger"))


def test_the_winner_is_refit_and_stays_it_however_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = run_in(tmp_path)
    trained: list[TrainingTask] = []
    monkeypatch.setattr(train, "fit", lambda _, one: trained.append(one) or {})
    assert train._kept(run) is None
    assert train._refit(run, CONTEST, KEEPS) == (KEEPS, {})
    assert [task.interactions for task in trained] == ["champion_interactions"]
    assert train._kept(run) == KEEPS


def test_a_champion_that_cannot_be_trained_gives_way_and_a_challenger_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = run_in(tmp_path)

    def fit(_: Run, task: TrainingTask) -> Facts:
        if task.interactions == "champion_interactions":
            raise BadInteractions("there are no interactions to train on")
        return {"trained_on": task.interactions}

    monkeypatch.setattr(train, "fit", fit)
    decision, stats = train._refit(run, CONTEST, KEEPS)
    assert (decision.winner, stats) == ("challenger", {"trained_on": "interactions"})
    assert "no interactions to train on" in decision.reason
    assert train._kept(run) == decision
    monkeypatch.setattr(train, "fit", lambda *_: fit(run, TrainingTask("", "champion_interactions", settings().train)))
    with pytest.raises(BadInteractions):
        train._refit(run, CONTEST, REPLACES)
