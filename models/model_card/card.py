"""What the page of a model version is made of, as its run left it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from conf.settings import JudgeSettings
from models.golden import GoldenMetrics
from models.judge import ALL, FigureKey, Judgement
from models.model_card.shape import Shape
from models.registry.lineage import Lineage
from models.training.learning_curve import Point

SCORES, USER_NORMS, SOURCE_NORMS = "scores", "user_norms", "source_norms"
SHAPES = (SCORES, USER_NORMS, SOURCE_NORMS)
"""Scores of the judged lists; norms of the factors that the version holds."""


@dataclass(frozen=True)
class Week:
    """A version, as far as MLflow knows it; each is judged on a hold-out of its own."""

    version: str | None
    """None: the one that the page is of, which is not registered yet."""
    run_id: str
    as_of: str
    k: int | None
    ndcg: float | None
    low: float | None
    high: float | None
    popularity: float | None
    """NDCG of the popularity list."""
    golden: float | None
    """NDCG on the same golden data; None where it was not measured, or on others."""
    users: int | None
    sources: int | None
    interactions: int | None


@dataclass(frozen=True)
class ChampionPage:
    """What the page says of the version that served when the run began."""

    week: Week
    golden: GoldenMetrics | None
    """None: it was registered before there were any."""
    shapes: Mapping[str, Shape]


@dataclass(frozen=True)
class ModelCard:
    """Everything that the page says."""

    lineage: Lineage
    arm: str
    """The judged arm of the recipe that made the factors."""
    judgement: Judgement | str
    """Or why it was not judged."""
    rules: JudgeSettings
    curve: Sequence[Point] | str
    """Or why there is none."""
    shapes: Mapping[str, Shape]
    """By SHAPES; one that is not there is of no numbers."""
    golden: GoldenMetrics
    now: Week
    before: Sequence[Week]
    """Versions that were registered before, the oldest first."""
    champion: ChampionPage | str
    """Or why there is none."""

    @property
    def weeks(self) -> list[Week]:
        """The versions that were registered before, and this one."""
        return [*self.before, self.now]

    def ndcg(self, arm: str) -> float | None:
        """Returns the judged NDCG of an arm's lists for everybody; None where there is none."""
        judged = self.judgement
        found = None if isinstance(judged, str) else judged.figures.get(FigureKey(arm, ALL, "ndcg"))
        return None if found is None else found.mean
