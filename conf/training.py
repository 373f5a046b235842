"""Settings of the trainers: `train.algorithm` selects one, and so which other keys there are."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_core import InitErrorDetails

from conf.base import Bytes, Number, Seed, Strict, Whole


class TrainSettings(Strict):
    """What all trainers have; each one has a class of its own, which is part of `TrainerSettings`."""

    algorithm: str
    """Name of the trainer."""
    seed: Seed = 7
    """Seed of the training; the same seed, data and threads return the same factors bit for bit."""
    threads: Whole = Field(default=0, ge=0, le=4096)
    """Threads of the training; 0: all cores of the machine."""
    max_memory: Bytes = 4 * 2**30
    """Bytes that training may use; a larger estimate is refused before it starts."""


class AlsSettings(TrainSettings):
    """The embeddings. α, λ and damping are relative to the data, so that the defaults suit data of any size, density
    and scale; measured by `python -m benchmarks.quality`."""

    algorithm: Literal["als", "als_spark", "auto"] = "als"
    """Implicit-feedback alternating least squares (Hu, Koren, Volinsky 2008): `als` on one machine by the library
    `implicit`, `als_spark` on the cluster by Spark ML; `auto`: `als` as long as its memory fits `max_memory`."""
    factors: Whole = Field(default=128, ge=1, le=1024)
    """Dimensions of the embeddings; more of them help if there are many sources, and cost ranking time."""
    iterations: Whole = Field(default=5, ge=1, le=1000)
    """Alternations from a spectral start; each one solves for all users and all sources once."""
    warm_iterations: Whole = Field(default=2, ge=1, le=1000)
    """Alternations of a run that starts from the factors of the run that serves."""
    cold_every: Whole = Field(default=4, ge=1, le=1_000_000)
    """One run in so many starts without the serving run's factors; 1: every run does."""
    regularization: Number = Field(default=0.5, ge=0, le=1e6)
    """λ, in units of the noise level of the confidences: weaker tastes are ignored; above 1 most are."""
    alpha: Number = Field(default=0.5, ge=1e-6, le=1e6)
    """α: confidence of an interaction is 1 + α / √density · weight / mean weight, density = interactions / pairs."""
    source_damping: Number = Field(default=0.4, ge=0, le=1)
    """Weights are divided by their source's number of interactions to this power; above 0, popular ones count less."""
    user_damping: Number = Field(default=0.4, ge=0, le=1)
    """Weights are divided by their user's number of interactions to this power; above 0, heavy users count less."""


def settings_class(tree: Any) -> type[TrainSettings] | None:
    """Returns the settings class of the trainer `algorithm`, by default `als`; None if there is no such trainer."""
    algorithm = tree.get("algorithm", "als") if isinstance(tree, Mapping) else "als"
    return next((one for one in _classes() if algorithm in _algorithms(one)), None)


def train_settings(tree: Any) -> TrainSettings:
    """Returns the settings of the trainer `algorithm`; raises ValidationError."""
    if isinstance(tree, TrainSettings):
        return tree
    if found := settings_class(tree):
        return found.model_validate(tree)
    known = {"expected": ", ".join(repr(name) for one in _classes() for name in _algorithms(one))}
    fault = InitErrorDetails(type="literal_error", loc=("algorithm",), input=tree["algorithm"], ctx=known)
    raise ValidationError.from_exception_data("train", [fault])


TrainerSettings = Annotated[AlsSettings, BeforeValidator(train_settings)]
"""The settings of any trainer: `AlsSettings | …`."""


def _classes() -> tuple[type[TrainSettings], ...]:
    union = get_args(TrainerSettings)[0]
    return get_args(union) or (union,)


def _algorithms(settings: type[TrainSettings]) -> tuple[str, ...]:
    return get_args(settings.model_fields["algorithm"].annotation)
