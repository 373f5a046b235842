"""Opens an experiment: pins both recipes, and draws a salt that divides the audience anew."""

import datetime as dt
import secrets
from collections.abc import Collection
from dataclasses import dataclass

from pydantic import ValidationError

from conf.experiment import Experiment, PinnedRecipe
from conf.recipe import Recipe
from conf.settings import Settings
from jobs.experiments.store import ExperimentError, ExperimentStore
from jobs.run.manifest import Manifest, find_run
from jobs.storage.store import Storage


@dataclass(frozen=True)
class Opening:
    """What an experiment is opened with."""

    settings: Settings
    home: Storage
    serving: str | None
    """The run that serves now."""
    used_salts: Collection[str]
    """Salts of the pointer's history, as far as it is known."""
    now: dt.datetime

    def experiment(self, name: str, first_day: dt.date | None) -> Experiment:
        """Returns the experiment that would be opened.

        Raises ExperimentError, ChangedSince, and RecipeGone if the settings cannot make the control's recipe.
        """
        day = self.now.date() + dt.timedelta(days=1) if first_day is None else first_day
        if day < self.now.date():
            raise ExperimentError(f"--first-day {day} is over (today is {self.now.date()} in UTC); name a later day")
        treatment, control = Recipe.of(self.settings), self.settings.rollout.control
        pinned = self._recipe_that_serves() if control == "pinned" else None
        if pinned is not None:
            pinned.applied_to(self.settings)
            if pinned == treatment:
                raise ExperimentError(
                    f"run {self.serving} serves the recipe of the settings already, so that both sides would be the "
                    "same; change events, weights, windows or training first (no other setting is part of a recipe)"
                )
        try:
            return Experiment(
                product=self.settings.product,
                name=name,
                opened=self.now,
                first_day=day,
                salt=self._new_salt(name),
                control=control,
                treatment=PinnedRecipe.of(treatment),
                control_recipe=None if pinned is None else PinnedRecipe.of(pinned),
                judged_by=self.settings.experiment,
            )
        except ValidationError as error:
            raise ExperimentError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None

    def _new_salt(self, name: str) -> str:
        earlier = ExperimentStore.of(self.home, self.settings.product).read_all()
        used = {self.settings.rollout.salt, *self.used_salts, *(one.salt for one in earlier)}
        while (salt := f"{name}-{secrets.token_hex(4)}") in used:
            pass
        return salt

    def _recipe_that_serves(self) -> Recipe:
        product = self.settings.product
        if self.serving is None:
            raise ExperimentError(
                f"nothing serves for {product}, so there is no recipe that the control could be pinned to; let a run "
                "serve first, or set rollout.control to none or popular"
            )
        kept = find_run(self.home, product, self.serving)
        if kept is None:
            raise ExperimentError(
                f"run {self.serving} serves, and its folder with the recipe is not in {self.home.uri}; set "
                "DISCOVERY_HOME to the work folder that made it"
            )
        return served_recipe(kept.manifest)


def served_recipe(manifest: Manifest) -> Recipe:
    """Returns the recipe of the factors that a run serves; raises ExperimentError if this code cannot read it."""
    run = manifest.request.run_id
    train = manifest.stages.get("train")
    decision = {} if train is None else train.facts.get("decision", {})
    champion = manifest.champion
    try:
        if decision.get("winner") == "champion" and champion is not None and champion.recipe is not None:
            return Recipe.model_validate(champion.recipe)
        return Recipe.of(Settings.model_validate(manifest.settings))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ExperimentError(
            f"the recipe of run {run} cannot be read by this version ({where}: {first['msg']}); let a newer run serve, "
            "then open the experiment"
        ) from None
