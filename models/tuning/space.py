"""The settings of a training that are searched, and their bounds."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conf.errors import ConfigError
from conf.settings import TrainSettings

if TYPE_CHECKING:
    from optuna import Trial

_SIZES = (8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
_SMALLEST = 4
"""Dimensions go down to the largest ÷ this: fewer hardly ever win."""
_BOUNDS = {
    "alpha": (0.2, 2.0),
    "regularization": (0.1, 1.0),
    "source_damping": (0.2, 0.6),
    "user_damping": (0.2, 0.8),
    "iterations": (2, 10),
}
"""Where good settings of many data sets lie; their units adapt to the data."""
_LOGARITHMIC = ("alpha", "regularization")
_DIGITS = 3


@dataclass(frozen=True)
class Space:
    """Bounds around a product's present settings; sizes: numbers of dimensions to choose from (none: not searched)."""

    present: TrainSettings
    sizes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.present.regularization == 0:
            raise ConfigError("train.regularization is 0 and is searched on a logarithmic scale: set it above 0 first")

    @classmethod
    def up_to(cls, most: int, present: TrainSettings) -> "Space":
        """Returns a space with dimensions up to `most`. Raises ConfigError if the present settings have more."""
        if most < present.factors:
            raise ConfigError(f"--max-factors {most} is less than train.factors {present.factors}; give that or more")
        sizes = {size for size in _SIZES if most <= _SMALLEST * size <= _SMALLEST * most}
        return cls(present, tuple(sorted({*sizes, most, present.factors, min(TrainSettings().factors, most)})))

    @property
    def first(self) -> list[dict[str, Any]]:
        """What is tried first: the present settings, and the shipped defaults if they differ."""
        shipped = TrainSettings()
        sized = shipped.model_copy(update={"factors": min(shipped.factors, max(self.sizes, default=0))})
        wanted = [self.params_of(settings) for settings in (self.present, sized)]
        return wanted if wanted[0] != wanted[1] else wanted[:1]

    def params_of(self, settings: TrainSettings) -> dict[str, Any]:
        """Returns the values of the searched settings by name."""
        names = [*(("factors",) if self.sizes else ()), *_BOUNDS]
        return {name: getattr(settings, name) for name in names}

    def suggest(self, trial: "Trial") -> dict[str, Any]:
        """Returns the values for one trial."""
        sizes = {"factors": trial.suggest_categorical("factors", self.sizes)} if self.sizes else {}
        return {**sizes, **{name: self._suggest(trial, name) for name in _BOUNDS}}

    def _suggest(self, trial: "Trial", name: str) -> float:
        low, high = _BOUNDS[name]
        tried = [params[name] for params in self.first]  # never out of bounds
        low, high = min(low, *tried), max(high, *tried)
        if name == "iterations":
            return trial.suggest_int(name, int(low), int(high))
        return trial.suggest_float(name, low, high, log=name in _LOGARITHMIC)


def rounded(params: dict[str, Any]) -> dict[str, Any]:
    """Returns the values as a person would write them: three significant digits."""
    return {
        name: float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value for name, value in params.items()
    }
