"""Errors between interactions and lists.

ModelError
├── BadIds              ids that no id map can hold, or of the wrong kind
├── BadMoments          sums of users that do not fit together, or shares that cut their slices
├── BadInteractions     the interactions break their contract: order, duplicates, weights, types
├── TrainMemoryError    training would need more memory than `train.max_memory`
├── NoWarmStart         the factors of an earlier run cannot be used as a start
├── TrainError          training returned NaN or infinite factors
├── BadFactors          factors that cannot be ranked: shape, dimensions, NaN, infinite, overflow
├── NoCandidates        no source may be recommended
├── NothingToJudge      no user engaged with anything new in the hold-out
├── LeakedSource        a judged list holds a source that was unknown before the cut
├── KnnTooLarge         item-kNN would need more memory than `train.max_memory`
├── GoldenChanged       the golden data set is not the registered one
├── PlotFailed          a plot of a model card could not be drawn; its page says so
└── RegistryError       MLflow cannot be reached or refuses
    └── RegistryRefused exit code 2: the address, or what is needed to use it, is wrong
"""

from conf.base import format_bytes
from conf.errors import DiscoveryError, Refused


class ModelError(DiscoveryError):
    """Root of this room's errors."""


class BadIds(ModelError, Refused):
    """Ids that an id map cannot represent."""


class BadMoments(ModelError, Refused):
    """Sums over users are of other variables or slices than what is computed from them."""


class BadInteractions(ModelError, Refused):
    """The table of interactions is not what `conf.contract.interactions` promises."""


class TrainMemoryError(ModelError, Refused):
    """Training is refused before it starts, because it would need more memory than allowed."""

    def __init__(self, needed: int, limit: int, size: str) -> None:
        super().__init__(
            f"training on {size} needs about {format_bytes(needed)}, train.max_memory allows {format_bytes(limit)}; "
            "set train.algorithm: auto, which then trains on the cluster, raise train.max_memory on a larger machine, "
            "or lower train.factors, shorten the datasets' windows, or ignore frequent, weak events"
        )
        self.needed = needed
        self.limit = limit


class NoWarmStart(ModelError):
    """The factors of an earlier run do not fit; training starts cold and logs why."""


class TrainError(ModelError):
    """The trainer failed or its factors are not finite."""


class BadFactors(ModelError):
    """Factors that cannot be ranked exactly."""


class NoCandidates(ModelError, Refused):
    """No eligible source has factors."""


class NothingToJudge(ModelError):
    """The hold-out holds no user of this run."""


class LeakedSource(ModelError):
    """A judged list holds a source that its training must not have seen."""


class KnnTooLarge(ModelError):
    """The neighbours of all sources do not fit into memory."""


class GoldenChanged(ModelError, Refused):
    """The bytes of the golden data set differ from the registered ones."""


class PlotFailed(ModelError):
    """The drawing library, its fonts or its folders failed."""


class RegistryError(ModelError):
    """The MLflow store or server cannot be used."""


class RegistryRefused(RegistryError, Refused):
    """MLflow's address can never work in its present form."""
