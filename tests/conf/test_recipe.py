"""A recipe: what is part of it, and what today's settings make of an older one."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.recipe import Recipe, RecipeGone
from conf.settings import Settings
from tests.features.world import settings

WEIGHTS = st.dictionaries(st.sampled_from(["like", "share", "leave", "click"]), st.sampled_from([-4.0, 0.0, 1.0, 2.0]))
RECIPES = st.builds(
    lambda weights, half_life, days, factors: product(
        interactions={"event_weights": {"join": 5.0, **weights}, "half_life_days": half_life},
        train={"factors": factors},
        window=f"{days} days ago:today",
    ),
    WEIGHTS,
    st.floats(0.1, 100),
    st.integers(1, 30),
    st.integers(1, 256),
)


def product(window: str = "3 days ago:today", **changes: Any) -> Settings:
    """A product that reads `clicks` over a window, with changes."""
    tree = settings().model_dump(mode="json") | changes
    tree["datasets"]["events"]["clicks"]["window"] = window
    return Settings.model_validate(tree)


@given(now=RECIPES, then=RECIPES)
def test_settings_with_an_older_recipe_have_it_and_are_todays_for_the_rest(now: Settings, then: Settings) -> None:
    recipe = Recipe.model_validate(Recipe.of(then).to_json())
    both = recipe.applied_to(now)
    assert Recipe.of(both) == recipe == Recipe.of(then)
    assert both.interactions.event_weights.keys() >= now.interactions.event_weights.keys()  # none is unknown to it
    rest = {"datasets", "interactions", "train"}
    assert both.model_dump(exclude=rest) == now.model_dump(exclude=rest)
    assert Settings.model_validate(both.model_dump(mode="json")) == both


@pytest.mark.parametrize(
    "changes",
    [
        {"train": {"threads": 3, "max_memory": "1 GiB"}},
        {"interactions": {"event_weights": {"like": 1.0, "leave": -4.0, "seen": 0.0}, "half_life_days": 1.0}},
        {"interactions": {"event_weights": {"like": 1.0, "leave": -4.0}, "half_life_days": 1, "exclude_seen": False}},
        {"lists": {"n": 9}, "split": {"holdout_days": 2}},
    ],
)
def test_the_machine_and_the_lists_are_not_part_of_it(changes: dict[str, Any]) -> None:
    assert Recipe.of(product(**changes)) == Recipe.of(product())


def test_a_dataset_that_is_gone_cannot_be_made() -> None:
    recipe = Recipe.of(product())
    with pytest.raises(RecipeGone, match="'clicks' is not in the settings any more"):
        recipe.applied_to(settings(events={"views": {"path": "views"}}))


def test_an_event_that_is_ignored_now_cannot_be_weighed() -> None:
    events = {"clicks": {"path": "clicks", "ignore_events": ["leave"]}}
    with pytest.raises(RecipeGone, match="'leave', to which it gives weight"):
        Recipe.of(product()).applied_to(settings(events=events))


def test_a_dataset_that_is_new_is_left_out() -> None:
    events = {"clicks": {"path": "c"}, "views": {"path": "views"}}
    assert Recipe.of(product()).applied_to(settings(events=events)).datasets.events.keys() == {"clicks"}
