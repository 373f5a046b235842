"""The settings of a training that are searched, and their bounds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conf.errors import ConfigError
from conf.training import TrainSettings
from models.training.trainer import Bounds
from models.training.trainers import trainer_of

if TYPE_CHECKING:
    from optuna import Trial

_SIZES = (8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
_SMALLEST = 4
"""Dimensions go down to the largest ÷ this: fewer hardly ever win."""
_DIGITS = 3


@dataclass(frozen=True)
class Space:
    """Bounds around a product's present settings; sizes: numbers of dimensions to choose from (none: not searched)."""

    present: TrainSettings
    sizes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name, bounds in self.bounds.items():
            if bounds.is_logarithmic and getattr(self.present, name) == 0:
                raise ConfigError(f"train.{name} is 0 and is searched on a logarithmic scale: set it above 0 first")
        if not self.bounds:
            raise ConfigError(f"train.algorithm {self.present.algorithm} has no settings that can be searched")

    @classmethod
    def up_to(cls, most: int, present: TrainSettings) -> "Space":
        """Returns a space with dimensions up to `most`. Raises ConfigError if the settings have more, or none."""
        factors = factors_of(present)
        if most < factors:
            raise ConfigError(f"--max-factors {most} is less than train.factors {factors}; use at least that")
        if not most:
            return cls(present)
        if not factors:
            raise ConfigError(f"--max-factors {most}: train.algorithm {present.algorithm} has no factors; leave it out")
        sizes = {size for size in _SIZES if most <= _SMALLEST * size <= _SMALLEST * most}
        return cls(present, tuple(sorted({*sizes, most, factors, min(factors_of(_shipped(present)), most)})))

    @property
    def bounds(self) -> Mapping[str, Bounds]:
        """The trainer's settings to search, without the dimensions."""
        return trainer_of(self.present).bounds

    @property
    def first(self) -> list[dict[str, Any]]:
        """What is tried first: the present settings, and the shipped defaults if they differ."""
        wanted = [self.params_of(settings) for settings in (self.present, _shipped(self.present))]
        if self.sizes:
            wanted[1]["factors"] = min(wanted[1]["factors"], max(self.sizes))
        return wanted if wanted[0] != wanted[1] else wanted[:1]

    def params_of(self, settings: TrainSettings) -> dict[str, Any]:
        """Returns the values of the searched settings by name."""
        names = [*(("factors",) if self.sizes else ()), *self.bounds]
        return {name: getattr(settings, name) for name in names}

    def suggest(self, trial: "Trial") -> dict[str, Any]:
        """Returns the values for one trial."""
        sizes = {"factors": trial.suggest_categorical("factors", self.sizes)} if self.sizes else {}
        return {**sizes, **{name: self._suggest(trial, name) for name in self.bounds}}

    def _suggest(self, trial: "Trial", name: str) -> float:
        bounds, tried = self.bounds[name], [params[name] for params in self.first]  # never out of bounds
        low, high = min(bounds.low, *tried), max(bounds.high, *tried)
        if isinstance(tried[0], int):
            return trial.suggest_int(name, int(low), int(high))
        return trial.suggest_float(name, low, high, log=bounds.is_logarithmic)


def factors_of(settings: TrainSettings) -> int:
    """Returns `train.factors`; 0 where the trainer has no such setting."""
    return int(getattr(settings, "factors", 0))


def _shipped(settings: TrainSettings) -> TrainSettings:
    """Returns the defaults of the trainer."""
    return type(settings)(algorithm=settings.algorithm)


def rounded(params: dict[str, Any]) -> dict[str, Any]:
    """Returns the values as a person would write them: three significant digits."""
    return {
        name: float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value for name, value in params.items()
    }
