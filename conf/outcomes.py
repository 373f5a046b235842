"""How it is measured what users did with their lists; no part of a run, so not of its hash and its manifest."""

from typing import Annotated

from pydantic import Field, model_validator

from conf.base import MAX_COUNT, MAX_DAYS, Strict, Whole
from conf.share import NOBODY, Fraction

MAX_HORIZON = 14
"""Most days after an answer: longer ones would credit a list with what its successors did."""


class RobotSettings(Strict):
    """Who is left out because nobody reads that fast."""

    max_events_per_day: Whole | None = Field(default=1000, ge=1, le=MAX_COUNT)
    """Events of one user on one UTC day; with more, events of that day and answers to the user on it are left out and
    counted. null: nobody is left out."""


class OutcomeSettings(Strict):
    """How it is measured what users did with their lists: docs/outcomes.md. Nothing here changes a run or a list."""

    horizon_days: Whole = Field(default=7, ge=1, le=MAX_HORIZON)
    """Days after an answer within which an event counts for it."""
    new_days: Whole = Field(default=28, ge=1, le=MAX_DAYS)
    """Days before an event without another one of the same user and source, for it to be a new engagement."""
    at: tuple[Annotated[Whole, Field(ge=1, le=1000)], ...] = (1, 5, 10)
    """Places k of hits@k, ascending."""
    keep_current_days: Whole = Field(default=28, ge=1, le=366)
    """Days that are measured again when they have matured, or when their data have changed."""
    robots: RobotSettings = RobotSettings()
    """Who is left out."""
    shadow_share: Fraction = NOBODY
    """Fraction of the audience, sampled outside of a run's share, for whom the run makes lists that nobody gets: they
    tell what users find anyway (docs/outcomes.md). 0: none, and incremental hits are not known."""

    @model_validator(mode="after")
    def _ascending(self) -> "OutcomeSettings":
        if not self.at or list(self.at) != sorted({*self.at}):
            raise ValueError(f"at {list(self.at)} must name at least one place, each once, ascending, e.g. [1, 5, 10]")
        return self
