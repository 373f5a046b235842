"""By what an experiment is judged; no part of a run, so not of its hash and its manifest."""

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from conf.base import Flag, Strict, Whole

METRIC_NAMES = (
    "amount",
    "answers",
    "events",
    "hits",
    "hits/answers",
    "listed_new",
    "listed_new/owned_new",
    "new",
    "owned_amount",
    "owned_events",
    "owned_new",
    "seen",
)
"""What is counted per user and week (docs/experiment-sums.md), without what stands behind a colon."""


def _metric(text: str) -> str:
    if text.partition(":")[0] not in METRIC_NAMES:
        raise ValueError(
            f"{text!r:.300} is no metric; there are {', '.join(METRIC_NAMES)}, some also as new:category=NAME or "
            "events:event=NAME (docs/experiment-sums.md)"
        )
    return text


MetricName = Annotated[str, AfterValidator(_metric)]
"""A metric of an experiment."""


class JudgingSettings(Strict):
    """By what an experiment is judged; pinned when it is opened: docs/experiments.md. Nothing here changes a run."""

    metrics: tuple[MetricName, ...] = ("new", "events")
    """Metrics that can win or lose, with an error of 5 % over all of them and all weekly looks; docs/experiment-sums.md
    has their names. Fewer are decided sooner."""
    weeks: Whole = Field(default=8, ge=1, le=52)
    """Weeks of seven days after which it ends at the latest; by then the error of all weekly looks is spent."""
    cuped: Flag = True
    """Whether what users did in the 28 days before explains a part of their weeks, which narrows intervals."""

    @model_validator(mode="after")
    def _each_once(self) -> "JudgingSettings":
        if not self.metrics or len(set(self.metrics)) < len(self.metrics):
            raise ValueError(f"metrics {list(self.metrics)} must name at least one metric, each once")
        return self
