"""The dataset of what was shown: no part of what a run is asked for."""

import re
from typing import Any

import pytest
from pydantic import ValidationError

from conf.load import config_hash
from conf.recipe import Recipe
from conf.settings import Settings
from conf.surface import SURFACE_PATTERN, is_surface
from tests.features.world import settings

SHOWN: dict[str, Any] = {"path": "seen", "columns": {"position": "place"}}


def test_it_is_no_part_of_the_settings_of_a_run() -> None:
    without, named = settings(), settings(impressions=SHOWN)
    assert config_hash(without) == config_hash(named)
    assert without.model_dump(mode="json") == named.model_dump(mode="json")
    assert Recipe.of(without) == Recipe.of(named)
    assert Settings.model_validate(named.model_dump(mode="json")).datasets.impressions is None


def test_no_run_reads_it_and_every_dataset_has_its_name() -> None:
    named = settings(impressions=SHOWN).datasets
    assert named.by_name.keys() == {"clicks"}
    assert named.every.keys() == {"clicks", "impressions"}
    assert settings().datasets.every.keys() == {"clicks"}


def test_a_recipe_keeps_it() -> None:
    named = settings(impressions=SHOWN)
    assert Recipe.of(named).applied_to(named).datasets.impressions == named.datasets.impressions


def test_an_event_dataset_may_have_its_name_where_it_is_not_there() -> None:
    events = {"clicks": {"path": "clicks"}, "impressions": {"path": "impressions"}}
    assert settings(events=events).datasets.events.keys() == {"clicks", "impressions"}
    with pytest.raises(ValidationError, match="'impressions' has the name of what was shown"):
        settings(events=events, impressions=SHOWN)


@pytest.mark.parametrize("changes", [{"columns": {"place": "rank"}}, {"window": "today"}, {"bad_row_budget": 1.0}])
def test_what_it_has_not_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(impressions=SHOWN | changes)


@pytest.mark.parametrize("name", ["default", "a.b_c-9", "x", "f" * 64])
def test_surfaces(name: str) -> None:
    assert is_surface(name)
    assert re.fullmatch(SURFACE_PATTERN, name)


@pytest.mark.parametrize("name", ["", "Home", "a b", "ü", "f" * 65, "a\n", "\0"])
def test_no_surfaces(name: str) -> None:
    assert not is_surface(name)
