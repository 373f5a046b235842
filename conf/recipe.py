"""What versions of a model compete with: which events count how much over which days, and how embeddings are trained.

Where the datasets lie and how dirty they are, what a list may hold and the machine's size are not part of it: these are
always those of today's settings.
"""

from typing import Any

from conf.base import Strict
from conf.errors import ConfigError
from conf.settings import Settings, TrainSettings
from conf.windows import WindowText

_MACHINE = ("threads", "max_memory")


class RecipeGone(ConfigError):
    """Today's settings cannot make a recipe any more."""


class Recipe(Strict):
    """A recipe; two are the same when they are equal."""

    windows: dict[str, WindowText]
    """Event dataset → window of days."""
    event_weights: dict[str, float]
    """Without the events that weigh nothing."""
    half_life_days: float
    train: TrainSettings
    """With the default threads and memory."""

    @classmethod
    def of(cls, settings: Settings) -> "Recipe":
        """The recipe of a product's settings."""
        return cls(
            windows={name: dataset.window for name, dataset in settings.datasets.events.items()},
            event_weights={name: weight for name, weight in settings.interactions.event_weights.items() if weight},
            half_life_days=settings.interactions.half_life_days,
            train=TrainSettings.model_validate(settings.train.model_dump(exclude=set(_MACHINE))),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, from which `model_validate` makes an equal one."""
        return self.model_dump(mode="json")

    def applied_to(self, settings: Settings) -> Settings:
        """Today's settings with this recipe in place of theirs; raises RecipeGone.

        Datasets that the recipe does not know are left out, and events that it does not know weigh nothing.
        """
        known = settings.datasets.events
        if gone := sorted(self.windows.keys() - known.keys()):
            raise RecipeGone(f"event dataset {gone[0]!r} is not in the settings any more")
        events = {name: known[name].model_copy(update={"window": window}) for name, window in self.windows.items()}
        ignored = {event for dataset in events.values() for event in dataset.ignore_events}
        if lost := sorted(self.event_weights.keys() & ignored):
            raise RecipeGone(f"event {lost[0]!r}, to which it gives weight, is in ignore_events now")
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
