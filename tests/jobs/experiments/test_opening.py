"""What an experiment pins when it is opened, and what is refused."""

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conf.errors import ConfigError
from conf.experiment import PinnedRecipe
from conf.recipe import Recipe
from conf.settings import Settings
from jobs.experiments.opening import Opening
from jobs.experiments.store import ExperimentError, ExperimentStore
from jobs.storage.store import Storage
from models.champion import Champion
from tests.features.world import settings
from tests.jobs.experiments.test_store import OPENED, experiment
from tests.jobs.runs import RUN_ID, finish, run_in

DAY = dt.date(2026, 11, 17)


def pinned(half_life_days: float = 2.0, **datasets: Any) -> Settings:
    """Settings with another recipe than that of the run that serves, which the control is pinned to."""
    tree = settings(**datasets).model_dump(mode="json")
    tree["interactions"]["half_life_days"] = half_life_days
    return with_control("pinned", tree)


def with_control(control: str, tree: dict[str, Any]) -> Settings:
    """Settings whose experiments have that control."""
    return Settings.model_validate(tree | {"rollout": {"control": control}})


@pytest.fixture
def opening(tmp_path: Path) -> Opening:
    run, _ = run_in(tmp_path)
    finish(run, "train", decision={"winner": "challenger", "reason": "better"})
    return Opening(pinned(), Storage(str(tmp_path)), RUN_ID, set(), OPENED)


def test_both_recipes_are_pinned(opening: Opening) -> None:
    opened = opening.experiment("more-days", None)
    assert (opened.first_day, opened.control, opened.opened) == (DAY, "pinned", OPENED)
    assert opened.treatment.parsed() == Recipe.of(pinned())
    assert opened.control_recipe is not None
    assert opened.control_recipe.parsed() == Recipe.of(settings())
    assert opened.salt.startswith("more-days-")
    assert opening.experiment("more-days", None).salt != opened.salt


def test_the_recipe_that_serves_may_be_the_champions(tmp_path: Path) -> None:
    old = Recipe.of(pinned(5.0)).to_json()
    run, _ = run_in(tmp_path, champion=Champion(run_id="before", version="1", recipe=old))
    finish(run, "train", decision={"winner": "champion", "reason": "better"})
    opened = Opening(pinned(), Storage(str(tmp_path)), RUN_ID, set(), OPENED).experiment("x", None)
    assert opened.control_recipe == PinnedRecipe(hash=opened.control_recipe.hash, recipe=old)  # type: ignore[union-attr]


def test_a_salt_is_never_used_twice(opening: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter(["served", "earlier", "new"])
    monkeypatch.setattr("secrets.token_hex", lambda size: next(drawn))
    store = ExperimentStore.of(opening.home, "test")
    store.add(experiment(name="a", salt="x-earlier"))
    assert replace(opening, used_salts={"x-served"}).experiment("x", None).salt == "x-new"


@pytest.mark.parametrize("control", ["none", "popular"])
def test_no_run_needs_to_serve_for_other_controls(opening: Opening, control: str) -> None:
    other = with_control(control, settings().model_dump(mode="json"))
    opened = replace(opening, settings=other, serving=None).experiment("x", DAY)
    assert (opened.control, opened.control_recipe) == (control, None)


@pytest.mark.parametrize(
    ("changes", "day", "words"),
    [
        ({"serving": None}, None, "nothing serves for test"),
        ({"serving": "20261109T030000Z-20261109-1"}, None, "its folder with the recipe is not in"),
        ({"settings": pinned(1.0)}, None, "serves the recipe of the settings already"),
        ({}, dt.date(2026, 11, 15), "--first-day 2026-11-15 is over"),
    ],
)
def test_refusals(opening: Opening, changes: dict[str, Any], day: dt.date | None, words: str) -> None:
    with pytest.raises(ExperimentError, match=words):
        replace(opening, **changes).experiment("x", day)


def test_a_control_that_the_settings_cannot_make_is_refused(opening: Opening) -> None:
    other = pinned(events={"views": {"path": "views"}})
    with pytest.raises(ConfigError, match="'clicks' is not in the settings any more"):
        replace(opening, settings=other).experiment("x", None)
