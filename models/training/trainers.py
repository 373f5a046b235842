"""The trainers by `train.algorithm`: which one makes the factors, and whether its memory fits."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from conf.base import format_bytes
from conf.ids import MAX_ID_BYTES
from conf.training import TrainSettings
from models.errors import TrainMemoryError
from models.training.als_trainer import AlsTrainer
from models.training.memory import MAX_PAIRS, DataSize
from models.training.trainer import Trainer

ON_CLUSTER = "als_spark"
"""The algorithm that trains on the cluster, in `models.training.als_spark`."""

TRAINERS: dict[str, Trainer[Any]] = {
    "als": AlsTrainer(),
    "auto": AlsTrainer(),
    ON_CLUSTER: AlsTrainer(),
}
"""The trainers on this machine; the last two names may train on the cluster instead, see `choose_trainer`."""


@dataclass(frozen=True)
class TrainerChoice:
    """The algorithm that trains, and a line for the log that explains the choice."""

    algorithm: str
    reason: str


def trainer_of(settings: TrainSettings) -> Trainer[Any]:
    """Returns the trainer on this machine for the settings."""
    return TRAINERS[settings.algorithm]


def check_memory(settings: TrainSettings, size: DataSize) -> int:
    """Returns the estimate in bytes. Raises TrainMemoryError when it exceeds `train.max_memory`."""
    trainer = trainer_of(settings)
    needed = trainer.estimate(size, settings)
    if needed > settings.max_memory:
        what = f"{size.interactions:,} interactions of {size.users:,} users with {size.sources:,} sources"
        dimensions = trainer.dimensions(settings)
        raise TrainMemoryError(needed, settings.max_memory, f"{what} at {dimensions} factors")
    return needed


def choose_trainer(settings: TrainSettings, interactions: int, size: Callable[[], DataSize]) -> TrainerChoice:
    """Returns the algorithm in the settings; for `auto`, `als` if its estimate fits into `train.max_memory`.

    `size` reads the data, so it is called only if the number of interactions alone does not decide.
    """
    if settings.algorithm != "auto":
        return TrainerChoice(settings.algorithm, f"{settings.algorithm}, as train.algorithm says")
    if interactions > MAX_PAIRS:
        reason = f"{interactions:,} interactions pass the limit {MAX_PAIRS:,} of als: {ON_CLUSTER}"
        return TrainerChoice(ON_CLUSTER, reason)
    none, all_differ = DataSize(interactions, 0, 0), DataSize(interactions, interactions, interactions, MAX_ID_BYTES)
    least, most = (trainer_of(settings).estimate(bound, settings) for bound in (none, all_differ))
    if most <= settings.max_memory:
        return _choice(settings, most, "at most")
    if least > settings.max_memory:
        return _choice(settings, least, "at least")
    return _choice(settings, trainer_of(settings).estimate(size(), settings), "about")


def _choice(settings: TrainSettings, needed: int, how: str) -> TrainerChoice:
    estimated = f"training needs {how} {format_bytes(needed)} of train.max_memory {format_bytes(settings.max_memory)}"
    if needed <= settings.max_memory:
        return TrainerChoice("als", f"{estimated}: als on this machine")
    return TrainerChoice(ON_CLUSTER, f"{estimated}: {ON_CLUSTER} on the cluster")
