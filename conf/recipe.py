"""A recipe: the settings in which model versions compete, i.e. events with weights and windows, and training.

It has everything that determines the interactions and the training on them. Where the datasets are, data quality, rules
for lists and the size of the machine are not part of it; for these today's settings apply.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Self

from pydantic import model_validator

from conf.base import Strict
from conf.datasets import Columns, EventDataset
from conf.errors import ConfigError
from conf.ids import IdKind
from conf.settings import Settings
from conf.training import TrainerSettings
from conf.windows import WindowText

_MACHINE = ("threads", "max_memory")


class RecipeGone(ConfigError):
    """Today's settings no longer support a recipe."""


class Recipe(Strict):
    """A recipe; two recipes are the same if they are equal."""

    ids: IdKind
    """Kind of the ids of users and sources."""
    windows: dict[str, WindowText]
    """Event dataset → window of days."""
    columns: dict[str, Columns]
    """Event dataset → the columns read from it, with the weight column if any."""
    ignored: dict[str, tuple[str, ...]]
    """Event dataset → names of events with a weight that are ignored there, sorted; only where there are any."""
    event_weights: dict[str, float]
    """Event name → weight; events with weight 0 are left out."""
    half_life_days: float
    train: TrainerSettings
    """With default threads and memory."""

    @model_validator(mode="after")
    def _columns_of_every_dataset(self) -> Self:
        if self.columns.keys() != self.windows.keys():
            raise ValueError("columns must be of the datasets that have a window")
        return self

    @classmethod
    def of(cls, settings: Settings) -> "Recipe":
        """Returns the recipe of a product's settings."""
        events = settings.datasets.events
        weights = {name: weight for name, weight in settings.interactions.event_weights.items() if weight}
        return cls(
            ids=settings.ids,
            windows={name: dataset.window for name, dataset in events.items()},
            columns={name: dataset.columns for name, dataset in events.items()},
            ignored={name: lost for name, dataset in events.items() if (lost := _lost(dataset.ignore_events, weights))},
            event_weights=weights,
            half_life_days=settings.interactions.half_life_days,
            train=type(settings.train)(**settings.train.model_dump(exclude=set(_MACHINE))),
        )

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON values, from which `model_validate` makes an equal recipe."""
        return self.model_dump(mode="json")

    def applied_to(self, settings: Settings) -> Settings:
        """Returns today's settings with this recipe instead of their own; raises RecipeGone.

        Datasets that the recipe does not have are left out, and events that it does not have get weight 0.
        """
        known = settings.datasets.events
        if self.ids != settings.ids:
            raise RecipeGone(f"it is of {self.ids} ids, and the settings say {settings.ids}")
        if gone := sorted(self.windows.keys() - known.keys()):
            raise RecipeGone(f"event dataset {gone[0]!r} is not in the settings any more")
        events = {name: self._dataset(name, known[name]) for name in self.windows}
        weights = dict.fromkeys(settings.interactions.event_weights, 0.0) | self.event_weights
        machine = {name: getattr(settings.train, name) for name in _MACHINE}
        return settings.model_copy(
            update={
                "datasets": settings.datasets.model_copy(update={"events": events}),
                "interactions": settings.interactions.model_copy(
                    update={"event_weights": weights, "half_life_days": self.half_life_days}
                ),
                "train": self.train.model_copy(update=machine),
            }
        )

    def _dataset(self, name: str, today: EventDataset) -> EventDataset:
        """Returns today's dataset as the recipe reads it; raises RecipeGone if an event with weight is now ignored."""
        ignored = self.ignored.get(name, ())
        if lost := sorted({*_lost(today.ignore_events, self.event_weights)} - {*ignored}):
            raise RecipeGone(f"event {lost[0]!r}, which has a weight in it, is in ignore_events of {name!r} now")
        more = tuple(event for event in ignored if event not in today.ignore_events)
        changes = {"window": self.windows[name], "columns": self.columns[name]}
        return today.model_copy(update={**changes, "ignore_events": (*today.ignore_events, *more)})


def completed(recipe: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns an old recipe, without ids, columns or ignored events, completed from the settings of its time.

    Both are JSON of any version of the code; keys in the recipe are kept.
    """
    events = settings.get("datasets", {}).get("events", {})
    datasets = {name: events.get(name, {}) for name in recipe.get("windows", {})}
    weights = recipe.get("event_weights", {})
    ignored = {name: _lost(dataset.get("ignore_events", ()), weights) for name, dataset in datasets.items()}
    found = {
        "ids": settings.get("ids"),
        "columns": {name: dataset.get("columns", {}) for name, dataset in datasets.items()},
        "ignored": {name: list(lost) for name, lost in ignored.items() if lost},
    }
    return {**found, **recipe}


def _lost(ignored: Iterable[str], weights: Mapping[str, float]) -> tuple[str, ...]:
    """Returns the ignored events that have a weight, sorted."""
    return tuple(sorted({*ignored} & weights.keys()))
