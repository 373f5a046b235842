"""Which recipe is refit when a run goes on, and when the one that won cannot be trained any more."""

from pathlib import Path

import pytest

from conf.recipe import Recipe
from jobs import train_embeddings
from jobs.champion import Champion, contest_of
from jobs.fit import Fit
from jobs.lineage_record import Decision
from jobs.run import Run
from jobs.stage import Facts
from models.errors import BadInteractions
from tests.features.world import settings
from tests.jobs.runs import RUN_ID, run_in

LONGER = Recipe.of(settings()).model_copy(update={"windows": {"clicks": "9 days ago:today"}})
CONTEST = contest_of(settings(), Champion(run_id=RUN_ID, recipe=LONGER.to_json()))
KEEPS, REPLACES = (Decision(winner=winner, reason="by proof") for winner in ("champion", "challenger"))


def test_the_winner_is_refit_and_stays_it_however_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = run_in(tmp_path)
    trained: list[Fit] = []
    monkeypatch.setattr(train_embeddings, "fit", lambda _, one: trained.append(one) or {})
    assert train_embeddings._kept(run) is None
    assert train_embeddings._refit(run, CONTEST, KEEPS) == (KEEPS, {})
    assert [one.interactions for one in trained] == ["champion_interactions"]
    assert train_embeddings._kept(run) == KEEPS


def test_a_champion_that_cannot_be_trained_gives_way_and_a_challenger_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = run_in(tmp_path)

    def fit(_: Run, one: Fit) -> Facts:
        if one.interactions == "champion_interactions":
            raise BadInteractions("there are no interactions to train on")
        return {"trained_on": one.interactions}

    monkeypatch.setattr(train_embeddings, "fit", fit)
    decision, stats = train_embeddings._refit(run, CONTEST, KEEPS)
    assert (decision.winner, stats) == ("challenger", {"trained_on": "interactions"})
    assert "no interactions to train on" in decision.reason
    assert train_embeddings._kept(run) == decision
    monkeypatch.setattr(
        train_embeddings, "fit", lambda *_: fit(run, Fit("", "champion_interactions", settings().train))
    )
    with pytest.raises(BadInteractions):
        train_embeddings._refit(run, CONTEST, REPLACES)
