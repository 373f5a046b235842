"""The record of an experiment: a treatment and a control over weeks, both pinned when it was opened."""

import datetime as dt
import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AwareDatetime, Field, model_validator

from conf.base import Strict
from conf.digest import digest_of_json
from conf.judging import JudgingSettings
from conf.recipe import Recipe
from conf.settings import ControlKind
from conf.share import Share

CONTROL_SUFFIX = "-control"
"""What the id of a control's run has more than that of its treatment."""


def _experiment_name(name: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,39}", name):
        raise ValueError(
            f"{name!r:.300}: an experiment is lower-case letters, digits, _ and -, starting with a letter, at most 40"
        )
    return name


ExperimentName = Annotated[str, AfterValidator(_experiment_name)]


class PinnedRecipe(Strict):
    """A recipe that no run of the experiment may change."""

    hash: str
    """SHA-256 of `recipe`."""
    recipe: dict[str, Any]
    """`Recipe.to_json`; kept as JSON because newer code may not be able to parse it."""

    @model_validator(mode="after")
    def _unchanged(self) -> Self:
        if self.hash != digest_of_json(self.recipe):
            raise ValueError("the recipe is not the one that was pinned: its hash is another one")
        return self

    @classmethod
    def of(cls, recipe: Recipe) -> Self:
        """Returns the pin of a recipe."""
        tree = recipe.to_json()
        return cls(hash=digest_of_json(tree), recipe=tree)

    def parsed(self) -> Recipe:
        """Returns the recipe; raises ValidationError if this code cannot read it."""
        return Recipe.model_validate(self.recipe)


class RunPart(Strict):
    """A run's part in an experiment, as its manifest has it."""

    experiment: ExperimentName
    role: Literal["treatment", "control"]
    control: ControlKind
    """What the experiment's control is."""
    opened: AwareDatetime
    """When the experiment was opened."""
    control_run: str | None = None
    """The run of the control, which serves beside a treatment; None for a control, and without one."""
    treatment_share_bp: Share | None = None
    """Share that the treatment of a control will cover."""

    @property
    def is_control(self) -> bool:
        """Whether the run is the control."""
        return self.role == "control"

    @property
    def is_popular(self) -> bool:
        """Whether its lists are popular sources, which nothing is trained for."""
        return self.is_control and self.control == "popular"


class Experiment(Strict):
    """An experiment of one product."""

    format: Literal[1] = 1
    product: str
    name: ExperimentName
    opened: AwareDatetime
    first_day: dt.date
    """First day of week 1, in UTC."""
    salt: str = Field(min_length=1)
    """Salt of the arm hash of every run of the experiment; no other experiment has it."""
    control: ControlKind
    treatment: PinnedRecipe
    control_recipe: PinnedRecipe | None = None
    """The recipe of the control's runs, if `control` is `pinned`."""
    judged_by: JudgingSettings | None = None
    """What was to decide when it was opened; None in records of before: the settings."""
    closed: AwareDatetime | None = None
    reason: str | None = None
    """Why it was closed."""

    @model_validator(mode="after")
    def _control_has_its_recipe(self) -> Self:
        if (self.control == "pinned") != (self.control_recipe is not None):
            raise ValueError("a pinned control has a recipe, and no other one has")
        return self

    @property
    def is_open(self) -> bool:
        """Whether runs belong to it."""
        return self.closed is None

    def weeks_over(self, day: dt.date) -> int:
        """Returns how many of its weeks are over when a day begins."""
        return max(0, (day - self.first_day).days // 7)

    def last_day_of(self, week: int) -> dt.date:
        """Returns the last day of a week; they are counted from 1."""
        return self.first_day + dt.timedelta(days=7 * week - 1)
