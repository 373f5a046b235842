"""The size of a run, and the work that each stage has with it."""

from dataclasses import dataclass
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from conf.settings import Settings
from conf.training import AlsSettings
from jobs.run.manifest import Manifest
from models.training.memory import DataSize, estimate

_POWER_ITERATIONS = 3
"""Of the spectral start; each one passes the pairs twice."""
_CG_PRODUCTS = 4
"""Products with the pairs of a row by conjugate gradients: the residual, and three steps."""
_RANKED = 71e-6
"""Core-seconds to rank 1,000,000 sources of 64 factors for a user, lists of 100 (docs/benchmarks.md, two cores)."""
_RANKED_GROWTH = 0.37
"""Power of the number of sources by which that grows: 15 µs for 14,532 sources of the same table."""


class Workload(BaseModel):
    """Numbers of rows of a run, and the settings that its cost depends on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    users: int = Field(ge=1)
    sources: int = Field(ge=1)
    events: int = Field(ge=1)
    """Rows in the windows of all event datasets, those of the hold-out's window included."""
    interactions: int = Field(ge=1)
    """Pairs of user and source after aggregation."""
    train_interactions: int = Field(ge=1)
    """Those of before the cut, by which the recipe is judged."""
    judged_users: int = Field(ge=0)
    lists: int = Field(ge=1)
    factors: int = Field(ge=1)
    iterations: int = Field(ge=1)
    n: int = Field(ge=1)

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """Returns the size of a finished run. Raises KeyError, ValidationError."""
        rows, training = manifest.fact("features", "rows"), manifest.fact("train", "training")
        events = set(manifest.settings["datasets"]["events"])
        inputs = (one for one in manifest.fact("features", "inputs") if one["name"] in events)
        return cls(
            users=training["users"],
            sources=rows["sources"],
            events=sum(day["rows"] for one in inputs for day in one["days"]),
            interactions=rows["interactions"],
            train_interactions=rows["train_interactions"],
            judged_users=manifest.fact("train", "judged").get("users", 0),
            lists=manifest.fact("topn", "rows")["lists"],
            factors=manifest.settings["train"]["factors"],
            iterations=training["iterations"],
            n=manifest.settings["lists"]["n"],
        )

    @property
    def multiply_adds(self) -> float:
        """Multiply-adds of both trainings: of the judged recipe and of the refit, from a spectral start."""
        return sum(self._multiply_adds(pairs) for pairs in (self.train_interactions, self.interactions))

    def _multiply_adds(self, pairs: int) -> float:
        """One iteration solves users and sources, by conjugate gradients with a d × d matrix for each row."""
        rows, d = self.users + self.sources, self.factors
        iteration = 2 * _CG_PRODUCTS * 2 * pairs * d + (_CG_PRODUCTS + 1) * rows * d**2
        start = _POWER_ITERATIONS * (2 * pairs * d + 2 * rows * d**2)
        return self.iterations * iteration + start

    @property
    def ranking_seconds(self) -> float:
        """Core-seconds to find the best n of the sources for one user, exactly, most sources never scored."""
        more: float = (self.sources / 1e6) ** _RANKED_GROWTH
        return _RANKED * more * self.factors / 64 * (0.5 + self.n / 200)

    @property
    def training_bytes(self) -> int:
        """What training takes in one process, as training itself estimates it."""
        return estimate(DataSize(self.interactions, self.users, self.sources), self.factors)


@dataclass(frozen=True)
class Ratios:
    """What is assumed of a run that was not made yet, as in a measured one."""

    interactions_per_event: float
    train_share: float
    judged_share: float

    @classmethod
    def of(cls, measured: Workload) -> Self:
        """Returns the ratios of a measured run."""
        return cls(
            measured.interactions / measured.events,
            measured.train_interactions / measured.interactions,
            measured.judged_users / measured.users,
        )


def planned(
    settings: Settings,
    ratios: Ratios,
    *,
    users: int,
    sources: int,
    events: int,
    interactions: int | None = None,
    lists: int | None = None,
) -> Workload:
    """Returns the size of a run with these settings; what is not given is as in the measured run."""
    pairs = interactions or min(max(1, round(events * ratios.interactions_per_event)), users * sources)
    train = settings.train
    factors, iterations = (train.factors, train.iterations) if isinstance(train, AlsSettings) else (128, 5)
    return Workload(
        users=users,
        sources=sources,
        events=events,
        interactions=pairs,
        train_interactions=max(1, round(pairs * ratios.train_share)),
        judged_users=round(users * ratios.judged_share),
        lists=lists or users,
        factors=factors,
        iterations=iterations,
        n=settings.lists.n,
    )
