"""The base class of trainers; `models.training.trainers` lists them by `train.algorithm`."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Generic, NamedTuple, TypeVar

from scipy.sparse import csr_matrix

from conf.training import TrainSettings
from models.arrays.ids import IdMap
from models.training.als import Factors as Factors
from models.training.als import OnIteration as OnIteration
from models.training.confidences import Constants
from models.training.memory import DataSize, estimate
from models.training.warm import InitialFactors, WarmStart

SettingsT = TypeVar("SettingsT", bound=TrainSettings)


class Bounds(NamedTuple):
    """The range in which `tune_embeddings` searches a setting."""

    low: float
    high: float
    is_logarithmic: bool = False


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Weights float32 (users, sources), which the trainer may overwrite, in the rows of the id maps."""

    users: IdMap
    sources: IdMap
    weights: csr_matrix


@dataclass(frozen=True, eq=False)
class Trained:
    """Finite factors float32 (users, d) and (sources, d) in the rows of the data."""

    user_factors: Factors
    source_factors: Factors
    iterations: int
    initial: InitialFactors | None = None
    """What the factors were made from; None: the trainer cannot continue from earlier factors."""
    constants: Constants | None = None
    """What `models.training.fold_in` needs; None: a refresh of the run is refused."""


class Trainer(ABC, Generic[SettingsT]):
    """A way to make factors on this machine; the score of a pair is the inner product of its vectors."""

    bounds: ClassVar[Mapping[str, Bounds]] = {}
    """Settings that `tune_embeddings` searches."""

    @abstractmethod
    def dimensions(self, settings: SettingsT) -> int:
        """Returns d, the length of the vectors."""

    @abstractmethod
    def fit(
        self, data: TrainingData, settings: SettingsT, start: WarmStart | None, on_iteration: OnIteration
    ) -> Trained:
        """Returns factors, the same for the same data, seed and threads; calls `on_iteration` after each iteration.

        start: factors of an earlier run to continue from, if the trainer can. Raises TrainError.
        """

    def estimate(self, size: DataSize, settings: SettingsT) -> int:
        """Returns the peak bytes of a training."""
        return estimate(size, self.dimensions(settings))

    def cold_every(self, settings: SettingsT) -> int | None:
        """Returns one in how many runs starts cold; None: all do, because the trainer cannot continue."""
        return None
