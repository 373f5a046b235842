"""The champion: the version that serves when a run is created, and the recipe that the run's own competes with."""

from dataclasses import dataclass, replace

from pydantic import BaseModel, ConfigDict, ValidationError

from conf.recipe import Recipe, RecipeGone
from conf.settings import Settings
from models.registry import ModelRegistry
from models.registry.lineage import JUDGED_TAG, check_lineage


class Champion(BaseModel):
    """What a run records about its champion; the recipe is JSON, because newer code may not be able to parse it."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    version: str | None = None
    judged: str | None = None
    """`Manifest.judged` of its run, from MLflow; None for a version of older code."""
    recipe: dict[str, object] | None = None
    fault: str | None = None
    """Why its recipe is unknown, if it is."""


@dataclass(frozen=True)
class Contest:
    """Whether a run's recipe competes with the champion's."""

    champion: Settings | None
    """Today's settings with the champion's recipe, if that is another one and can still be used."""
    own_features: bool
    """Whether the champion's recipe needs interactions of its own, instead of only training differently."""
    reason: str
    """Why there is no rival; empty if there is one."""
    is_champions: bool = False
    """Whether the run's own recipe equals the champion's."""
    other_interactions: bool = False
    """Whether the champion, no rival because the run's recipe is pinned, has interactions of another meaning."""

    def table(self, interactions: str) -> str:
        """Returns the name of the table that the champion's recipe trains on; ours trains on `interactions`."""
        return f"champion_{interactions}" if self.own_features else interactions


def find_champion(registry: ModelRegistry, product: str, serving: str | None) -> Champion | None:
    """Returns the champion, which is the version of the run `serving`; None without one. Raises RegistryError."""
    if serving is None:
        return None
    version = registry.version_of(product, serving)
    if version is None:
        return Champion(run_id=serving, fault=f"MLflow has no version of run {serving}")
    checked = check_lineage(registry, version)
    known = Champion(run_id=serving, version=version.number, judged=version.tags.get(JUDGED_TAG))
    if checked.lineage is None or checked.faults:
        return known.model_copy(update={"fault": "; ".join(checked.faults)})
    return known.model_copy(update={"recipe": checked.lineage.recipe})


def contest_of(
    settings: Settings, champion: Champion | None, fault: str | None = None, pinned_by: str | None = None
) -> Contest:
    """Returns who competes in a run.

    fault: why the champion's interactions could not be made, if so; pinned_by: the experiment that pins the run's
    recipe, if one does: then nobody competes.
    """
    if champion is None:
        return _no_rival("nothing served before, so there is no champion")
    name = f"run {champion.run_id}" if champion.version is None else f"version {champion.version}"
    if champion.recipe is None:
        return _no_rival(f"the recipe of the champion, {name}, is not known: {champion.fault}")
    try:
        recipe = Recipe.model_validate(champion.recipe)
        theirs = recipe.applied_to(settings)
    except (ValidationError, RecipeGone) as error:
        why = str(error) if isinstance(error, RecipeGone) else _unknown(error)
        return _no_rival(f"the recipe of the champion, {name}, cannot be made any more: {why}")
    ours = Recipe.of(settings)
    if recipe == ours:
        return replace(_no_rival(f"the recipe is that of the champion, {name}"), is_champions=True)
    own_features = recipe.model_copy(update={"train": ours.train}) != ours
    if pinned_by is not None:
        pinned = _no_rival(f"the recipe is pinned by experiment {pinned_by}")
        return replace(pinned, other_interactions=own_features)
    if fault is not None:
        return _no_rival(f"the recipe of the champion, {name}, cannot be made any more: {fault}")
    return Contest(theirs, own_features, "")


def _unknown(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"this code cannot read it ({where or 'recipe'}: {first['msg']})"


def _no_rival(reason: str) -> Contest:
    return Contest(None, own_features=False, reason=reason)
