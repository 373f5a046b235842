"""Each week's decision on the share: raise it, hold it, or stop; a function of what is known, without clock or files.

What wins, in this order: an earlier stop, the kill switch, the operator's hold, a sample-ratio mismatch (no effect is
believed then), a broken guardrail, and whatever asks to wait. Where nobody is treated (any more), only the first two
of the measured reasons count: there is nothing to wait for. A cap lowers any share; nothing raises one above it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from models.experiment.decide import Harm
from models.experiment.mismatch import Mismatch
from models.experiment.moments import WHOLE_BP


@dataclass(frozen=True)
class Ramp:
    """How the share may rise."""

    steps_bp: tuple[int, ...]
    """Shares in basis points, rising."""
    approve: Literal["manual", "auto"] = "manual"
    learning_bp: int = 1_000
    """Steps up to this share are not held back by what is unknown or only suspected: lower ones can prove nothing."""

    def next_step(self, share_bp: int) -> int | None:
        """Returns the first step above a share."""
        return next((step for step in self.steps_bp if step > share_bp), None)


@dataclass(frozen=True)
class Operator:
    """What people have said."""

    killed: bool = False
    """The kill switch: nobody is served."""
    held: bool = False
    cap_bp: int = WHOLE_BP
    approved_bp: int = 0
    """Share up to which raising is approved, for `approve: manual`."""


@dataclass(frozen=True)
class Known:
    """What the weeks that are measured have shown."""

    share_bp: int
    """Of the users who are treated now; 0: nobody is yet, or any more."""
    measured: bool
    """Whether the outcomes of the newest week are there; the rest may be known of earlier ones."""
    whole_week: bool = True
    """Whether `share_bp` held for most of that week."""
    stopped: bool = False
    """Whether an earlier decision was to stop."""
    mismatch: Mismatch | None = None
    harms: tuple[Harm, ...] = ()


@dataclass(frozen=True)
class Decision:
    """What to do this week, and why."""

    action: Literal["raise", "hold", "stop"]
    share_bp: int
    """Share of the run to come."""
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        """E.g. "hold at 5 %: clicks −1.9 %, margin −1.0 %: may be worse than the margin (p 0.04)"."""
        return f"{self.action} at {self.share_bp / 100:g} %: {'; '.join(self.reasons)}"


def decide(ramp: Ramp, known: Known, operator: Operator) -> Decision:
    """Returns this week's decision."""
    if known.stopped:
        return Decision("stop", 0, ("it was stopped before",))
    if operator.killed:
        return Decision("hold", 0, ("the kill switch is on",))
    if operator.held:
        return _held(known, operator, ["an operator holds the share"])
    if known.mismatch is not None and known.mismatch.found:
        return _held(known, operator, [str(known.mismatch), "no effect is shown"])
    if broken := _said(known.harms, "broken"):
        return Decision("stop", 0, tuple(broken))
    if known.share_bp and not known.measured:
        return _held(known, operator, ["the outcomes of last week are not there yet"])
    if known.share_bp == 0:  # nobody has been treated yet, or nobody is any more
        return _raised(ramp, known, operator)
    if not known.whole_week:
        return _held(known, operator, [f"no whole week at {known.share_bp / 100:g} % is measured yet"])
    waiting = _said(known.harms, "unknown") + _said(known.harms, "suspected")
    if waiting and (ramp.next_step(known.share_bp) or WHOLE_BP) > ramp.learning_bp:
        return _held(known, operator, waiting)
    return _raised(ramp, known, operator)


def _raised(ramp: Ramp, known: Known, operator: Operator) -> Decision:
    """Returns the decision to raise, if nobody minds."""
    step = ramp.next_step(known.share_bp)
    if step is None:
        return _held(known, operator, ["the last step is reached"])
    if min(step, operator.cap_bp) <= known.share_bp:
        return _held(known, operator, [])
    if ramp.approve == "manual" and operator.approved_bp < step:
        return _held(known, operator, [f"{step / 100:g} % waits for an approval"])
    share = min(step, operator.cap_bp)
    reasons = [harm.said for harm in known.harms] or ["no guardrail is broken" if known.share_bp else "the first step"]
    return Decision("raise", share, tuple(reasons + ([_cap(operator)] if share < step else [])))


def _held(known: Known, operator: Operator, reasons: list[str]) -> Decision:
    """Returns the decision to stay, or to go down to the cap."""
    share = min(known.share_bp, operator.cap_bp)
    capped = share < known.share_bp or not reasons
    return Decision("hold", share, tuple(reasons + ([_cap(operator)] if capped else [])))


def _cap(operator: Operator) -> str:
    return f"an operator's cap is {operator.cap_bp / 100:g} %"


def _said(harms: Sequence[Harm], state: str) -> list[str]:
    return [harm.said for harm in harms if harm.state == state]
