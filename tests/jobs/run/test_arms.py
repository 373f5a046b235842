"""Which runs a start makes, of which settings, while an experiment is open."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from conf.experiment import PinnedRecipe
from conf.recipe import Recipe
from conf.settings import Settings
from conf.share import EVERYBODY, Share
from jobs.experiments.store import ExperimentStore
from jobs.run.arms import Arm, PinnedByExperiment, arms_of
from jobs.run.manifest import run_folder, save_manifest
from jobs.storage.store import Storage
from tests.features.world import settings
from tests.jobs.experiments.test_store import OPENED, experiment
from tests.jobs.runs import RUN_ID, manifest_of

QUARTER = Share(2_500)


def other(half_life_days: float = 3.0) -> Settings:
    """Settings with another recipe, to which controls are pinned here."""
    tree = settings().model_dump(mode="json")
    tree["interactions"]["half_life_days"] = half_life_days
    return Settings.model_validate(tree)


@pytest.fixture
def home(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path))


def opened(home: Storage, **changes: Any) -> None:
    ExperimentStore.of(home, "test").add(experiment(**changes))


def made(home: Storage, now: Settings | None = None) -> list[Arm]:
    return arms_of(now or settings(), home, RUN_ID, QUARTER)


def test_without_an_experiment_a_start_makes_its_run_as_ever(home: Storage) -> None:
    assert made(home) == [Arm(RUN_ID, settings(), QUARTER, None)]


def test_without_a_control_only_the_salt_is_the_experiments(home: Storage) -> None:
    opened(home)
    (arm,) = made(home)
    assert (arm.run_id, arm.share, arm.settings.rollout.salt) == (RUN_ID, QUARTER, "more-days-1")
    assert arm.part is not None
    assert (arm.part.role, arm.part.control_run) == ("treatment", None)
    assert arm.settings.model_dump(exclude={"rollout"}) == settings().model_dump(exclude={"rollout"})


def test_a_pinned_control_comes_first_and_covers_everybody(home: Storage) -> None:
    opened(home, control="pinned", control_recipe=PinnedRecipe.of(Recipe.of(other())))
    control, treatment = made(home)
    assert (control.run_id, control.share) == (f"{RUN_ID}-control", EVERYBODY)
    assert Recipe.of(control.settings) == Recipe.of(other())
    assert Recipe.of(treatment.settings) == Recipe.of(settings())
    assert control.settings.rollout.salt == treatment.settings.rollout.salt == "more-days-1"
    assert treatment.part is not None
    assert treatment.part.control_run == control.run_id
    assert control.part is not None
    assert (control.part.role, control.part.treatment_share_bp) == ("control", QUARTER)


def test_popular_sources_have_no_least_score(home: Storage) -> None:
    opened(home, control="popular")
    tree = settings().model_dump(mode="json") | {"lists": {"min_score": 0.5}}
    control, treatment = made(home, Settings.model_validate(tree))
    assert (control.settings.lists.min_score, treatment.settings.lists.min_score) == (None, 0.5)
    assert control.part is not None
    assert control.part.is_popular


def test_another_recipe_is_refused_with_the_key_and_what_to_do(home: Storage) -> None:
    opened(home)
    with pytest.raises(PinnedByExperiment, match=r"half_life_days is 1\.0 there and 3\.0 now; restore .* close"):
        made(home, other())
    tree = settings().model_dump(mode="json") | {"lists": {"n": 7}}  # no part of a recipe
    assert made(home, Settings.model_validate(tree))[0].settings.lists.n == 7


def test_a_control_that_cannot_be_made_any_more_is_refused(home: Storage) -> None:
    recipe = Recipe.of(other())
    gone = recipe.model_copy(
        update={name: {"gone": getattr(recipe, name)["clicks"]} for name in ("windows", "columns")}
    )
    opened(home, control="pinned", control_recipe=PinnedRecipe.of(gone))
    with pytest.raises(PinnedByExperiment, match="event dataset 'gone' is not in the settings any more"):
        made(home)
    unknown = PinnedRecipe.of(recipe).recipe | {"later": 1}
    store = ExperimentStore.of(home, "test")
    store.close(store.get("more-days"), OPENED, "why")
    opened(
        home,
        name="newer",
        opened=OPENED + dt.timedelta(days=1),
        control="pinned",
        control_recipe={"hash": _hash(unknown), "recipe": unknown},
    )
    with pytest.raises(PinnedByExperiment, match="this code cannot read it"):
        made(home)


def _hash(tree: dict[str, Any]) -> str:
    from conf.digest import digest_of_json

    return digest_of_json(tree)


def test_a_run_stays_in_the_experiment_in_which_it_began(home: Storage) -> None:
    save_manifest(run_folder(home, "test", RUN_ID), manifest_of())
    opened(home)
    assert made(home)[0].part is None  # begun before
    store, later = ExperimentStore.of(home, "test"), RUN_ID.replace("-1", "-2")
    (arm,) = arms_of(settings(), home, later, QUARTER)
    request = manifest_of().request.model_copy(update={"run_id": later})
    save_manifest(run_folder(home, "test", later), manifest_of(request=request, experiment=arm.part))
    store.close(store.get("more-days"), OPENED, "over")
    assert arms_of(settings(), home, later, QUARTER) == [arm]
