"""Who competes in a run, and which recipe it refits."""

import itertools
from pathlib import Path

import pytest

from conf.recipe import Recipe
from jobs.run.manifest import Manifest
from models.champion import Champion, contest_of, find_champion
from models.judge import CHAMPION, OURS, POPULARITY, Estimate, FigureKey, Judgement, Spread
from models.judge.acceptance import decide
from models.registry import ModelRegistry
from tests.features.world import settings
from tests.jobs.lineages import register, run_of
from tests.jobs.runs import RUN_ID, manifest_of

_NUMBERS = itertools.count()
NOW = settings()
OTHER = Recipe.of(NOW).model_copy(update={"train": NOW.train.model_copy(update={"alpha": 9.0})})
LONGER = Recipe.of(NOW).model_copy(update={"windows": {"clicks": "9 days ago:today"}})


def champion(recipe: Recipe) -> Champion:
    return Champion(run_id=RUN_ID, version="6", recipe=recipe.to_json())


def judgement(*arms: str, lead: float = 0.0) -> Judgement:
    """Ours leads every arm by `lead` for sure, and popularity by .1."""
    figures = {FigureKey(arm, "all", "ndcg"): Estimate(99, 0.2, 0.2, 0.2) for arm in arms}
    sure = {arm: 0.1 if arm == POPULARITY else lead for arm in arms}
    leads = {FigureKey(arm, "all", "ndcg"): Estimate(99, by, by, by) for arm, by in sure.items()}
    remarks = {} if CHAMPION in arms else {CHAMPION: "missing: none of 3 sources"}
    return Judgement(20, 200, figures, leads, dict.fromkeys((OURS, *arms), Spread(1, 0)), remarks)


def test_the_champion_is_the_version_of_the_run_that_serves(model_store: str, tmp_path: Path) -> None:
    registry, product = ModelRegistry(model_store), f"champion_{next(_NUMBERS)}"
    assert find_champion(registry, product, None) is None
    unknown = find_champion(registry, product, RUN_ID)
    assert unknown is not None
    assert "MLflow has no version" in (unknown.fault or "")
    run = run_of(registry, tmp_path, product=product)
    version = register(run)
    found = find_champion(registry, product, RUN_ID)
    wanted = {"recipe": Recipe.of(run.settings).to_json(), "judged": run.manifest.judged}
    assert found == Champion(run_id=RUN_ID, version=version, **wanted)
    registry.note(registry.versions(product)[0], "discovery.inputs", "another")
    doubted = find_champion(registry, product, RUN_ID)
    assert doubted is not None
    assert doubted.recipe is None
    assert "discovery.inputs" in (doubted.fault or "")


@pytest.mark.parametrize(("recipe", "other_interactions"), [(OTHER, False), (LONGER, True)])
def test_nobody_competes_with_a_pinned_recipe(recipe: Recipe, other_interactions: bool) -> None:
    contest = contest_of(NOW, champion(recipe), pinned_by="more-days")
    assert (contest.champion, contest.other_interactions) == (None, other_interactions)
    decision = decide(contest, judgement(POPULARITY, CHAMPION, lead=-1.0), 0.02)
    assert (decision.winner, "pinned by experiment more-days" in decision.reason) == ("challenger", True)
    assert contest_of(NOW, champion(Recipe.of(NOW)), pinned_by="more-days").is_champions


@pytest.mark.parametrize(
    ("before", "fault", "reason"),
    [
        (None, None, "nothing served before"),
        (Champion(run_id=RUN_ID, fault="it is gone"), None, "is not known: it is gone"),
        (champion(Recipe.of(NOW)), None, "the recipe is that of the champion, version 6"),
        (
            Champion(run_id=RUN_ID, recipe={"magic": 1}),
            None,
            "cannot be made any more: this code cannot read it (ids: ",
        ),
        (champion(Recipe.of(settings(events={"views": {"path": "v"}}))), None, "'views' is not in the settings"),
        (champion(LONGER), "a day is missing", "cannot be made any more: a day is missing"),
    ],
)
def test_without_a_rival_the_challenger_wins_and_says_why(
    before: Champion | None, fault: str | None, reason: str
) -> None:
    contest = contest_of(NOW, before, fault)
    assert contest.champion is None
    for figures in ("no users", judgement(POPULARITY)):
        decision = decide(contest, figures, 0.02)
        assert decision.winner == "challenger"
        assert reason in decision.reason


def test_a_recipe_that_trains_otherwise_needs_no_interactions_of_its_own() -> None:
    contest = contest_of(NOW, champion(OTHER))
    assert contest.champion is not None
    assert contest.champion.train.alpha == 9.0
    assert contest.table("interactions") == "interactions"
    contest = contest_of(NOW, champion(LONGER))
    assert contest.champion is not None
    assert contest.champion.datasets.events["clicks"].window == "9 days ago:today"
    assert contest.table("interactions") == "champion_interactions"


def test_another_weight_column_is_another_recipe() -> None:
    weighed = settings(events={"clicks": {"path": "clicks", "window": "3 days ago:today", "columns": {"weight": "n"}}})
    for now, then in ((NOW, weighed), (weighed, NOW)):
        contest = contest_of(now, champion(Recipe.of(then)))
        assert contest.champion == then
        assert (contest.table("interactions"), contest.is_champions) == ("champion_interactions", False)


def test_another_kind_of_ids_has_no_rival() -> None:
    contest = contest_of(NOW.model_copy(update={"ids": "string"}), champion(Recipe.of(NOW)))
    assert contest.champion is None
    assert "cannot be made any more: it is of int64 ids" in contest.reason


def test_a_champion_of_older_code_has_the_columns_that_it_was_used_with(model_store: str, tmp_path: Path) -> None:
    """In a manifest those of the run, in a lineage those of the settings beside it."""
    whole = Recipe.of(NOW).to_json()
    old = {name: value for name, value in whole.items() if name not in ("ids", "columns", "ignored")}
    kept = manifest_of(champion=Champion(run_id=RUN_ID, version="6", recipe=old)).model_dump_json()
    read = Manifest.model_validate_json(kept)
    assert read.champion == champion(Recipe.of(NOW))
    assert contest_of(NOW, read.champion).is_champions

    registry, product = ModelRegistry(model_store), f"champion_{next(_NUMBERS)}"
    register(run_of(registry, tmp_path, product=product), recipe=old)
    found = find_champion(registry, product, RUN_ID)
    assert found is not None
    assert found.recipe == whole


def test_a_rival_loses_to_proof_only() -> None:
    contest = contest_of(NOW, champion(OTHER))
    assert decide(contest, judgement(POPULARITY, CHAMPION, lead=0.0), 0.02).winner == "challenger"
    assert decide(contest, judgement(POPULARITY, CHAMPION, lead=-0.1), 0.02).winner == "champion"
    unjudged = decide(contest, "3 users with something new", 0.02)
    assert (unjudged.winner, "3 users" in unjudged.reason) == ("champion", True)
    missing = decide(contest, judgement(POPULARITY), 0.02)
    assert (missing.winner, "none of 3 sources" in missing.reason) == ("challenger", True)
