"""How the cost of each stage grows: a fixed part, and so much for each unit of the work that it has."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from jobs.sizing.measured import STAGES, SizedRun, StageCost
from jobs.sizing.workload import Workload

Units = Callable[[Workload], float]


@dataclass(frozen=True)
class Line:
    """A fixed part, and a part per unit of work; neither is negative."""

    fixed: float
    per_unit: float

    @classmethod
    def through(cls, points: Sequence[tuple[float, float]]) -> Self:
        """Returns the line with the smallest relative squares through at least two points (units, cost)."""
        weighted = [(x, y, 1 / max(y, 1e-9) ** 2) for x, y in points]
        total = sum(w for _, _, w in weighted)
        x0, y0 = (sum(w * one[at] for *one, w in weighted) / total for at in (0, 1))
        spread = sum(w * (x - x0) ** 2 for x, _, w in weighted)
        slope = sum(w * (x - x0) * (y - y0) for x, y, w in weighted) / spread if spread else 0.0
        if slope <= 0:  # smaller than what one measurement differs from the next
            return cls(max(0.0, y0), 0.0)
        if y0 < slope * x0:  # nothing is fixed: through the origin
            return cls(0.0, sum(w * x * y for x, y, w in weighted) / sum(w * x**2 for x, _, w in weighted))
        return cls(y0 - slope * x0, slope)

    def growing(self, units: float) -> float:
        """Returns the part that grows."""
        return self.per_unit * units

    def at(self, units: float) -> float:
        """Returns the cost of so many units."""
        return self.fixed + self.growing(units)


@dataclass(frozen=True)
class Forms:
    """What a stage's cost grows with."""

    spark: Units
    driver: Units
    shuffle: Units
    per: str
    """Name of the units of Spark's part."""
    known: Units = lambda workload: 0.0
    """Core-seconds of Spark's part that were measured on their own: exact ranking."""


FORMS = {
    "features": Forms(
        spark=lambda of: of.events, driver=lambda of: of.events, shuffle=lambda of: of.events, per="event"
    ),
    "train": Forms(
        spark=lambda of: of.judged_users,
        driver=lambda of: of.multiply_adds,
        shuffle=lambda of: of.interactions,
        per="judged user",
        known=lambda of: of.judged_users * of.ranking_seconds,
    ),
    "topn": Forms(
        spark=lambda of: of.lists,
        driver=lambda of: of.sources,
        shuffle=lambda of: of.interactions,
        per="list",
        known=lambda of: of.lists * of.ranking_seconds,
    ),
    "publish": Forms(
        spark=lambda of: of.lists * of.n,
        driver=lambda of: of.lists * of.n,
        shuffle=lambda of: of.lists * of.n,
        per="place of a list",
    ),
}


@dataclass(frozen=True)
class StageGrowth:
    """The constants of a stage."""

    spark: Line
    driver: Line
    shuffle: Line
    """Bytes."""

    @classmethod
    def of(cls, name: str, runs: Sequence[SizedRun]) -> Self:
        """Returns the constants of a stage by runs of at least two sizes."""
        forms = FORMS[name]

        def line(units: Units, cost: Callable[[StageCost], float], known: Units = lambda workload: 0.0) -> Line:
            return Line.through(
                [(units(run.workload), max(0.0, cost(run.stages[name]) - known(run.workload))) for run in runs]
            )

        return cls(
            spark=line(forms.spark, lambda cost: cost.spark_seconds, forms.known),
            driver=line(forms.driver, lambda cost: cost.driver_seconds),
            shuffle=line(forms.shuffle, lambda cost: cost.shuffle_bytes),
        )


def growth_of(runs: Sequence[SizedRun]) -> dict[str, StageGrowth]:
    """Returns the constants of every stage."""
    return {name: StageGrowth.of(name, runs) for name in STAGES}
