"""How the share of an experiment rises by what is measured; no part of a run, so not of its hash and its manifest."""

from typing import Literal

from pydantic import Field, model_validator

from conf.base import Number, Strict
from conf.judging import MetricName
from conf.share import EVERYBODY, NOBODY, Percent, Share


class GuardrailSettings(Strict):
    """A metric that may be worse by a margin at most."""

    margin: Number = Field(default=0.01, gt=0, lt=1)
    """Relative change to the worse that is put up with, e.g. 0.01 for 1 %."""
    better: Literal["more", "less"] = "more"
    """Which way is better."""


class RampSettings(Strict):
    """How the weekly run chooses the share while an experiment is open: docs/experiments.md."""

    steps: tuple[Percent, ...] = tuple(map(Share, (100, 500, 2_500, 5_000, 9_500)))
    """Percentages of the audience, rising; one step a week at most."""
    guardrails: dict[MetricName, GuardrailSettings] = Field(default_factory=dict)
    """What may not get worse, by metric (docs/experiment-sums.md), e.g. `events: {margin: 0.01}`."""
    approve: Literal["manual", "auto"] = "manual"
    """Whether a step waits for `discovery experiment approve`; `auto` needs a guardrail."""

    @model_validator(mode="after")
    def _rises(self) -> "RampSettings":
        shown = [step.bp / 100 for step in self.steps]
        if not self.steps or list(self.steps) != sorted({*self.steps}) or self.steps[0] == NOBODY:
            raise ValueError(
                f"steps {shown} must name at least one percentage above 0, each once, rising, e.g. [1, 5, 25, 50, 95]"
            )
        if self.steps[-1] == EVERYBODY:
            raise ValueError(
                "steps end below 100: at 100 % nobody is left to compare with; close the experiment when it has won"
            )
        if self.approve == "auto" and not self.guardrails:
            raise ValueError(
                "approve: auto raises the share unless a guardrail minds, and there is none; name at least one, e.g. "
                "guardrails: {events: {margin: 0.01}}"
            )
        return self
