"""What the ramp decided each week, and how far people let it rise, beside the sums of an experiment:

decisions/week-NN.json    the decision when NN weeks were over; it is never made again
approvals/BP.json         a share in basis points that was approved
"""

import datetime as dt
from dataclasses import dataclass
from typing import Literal, TypeVar

from pydantic import AwareDatetime, ValidationError

from conf.base import Strict
from conf.share import NOBODY, Share
from jobs.experiments.store import ExperimentError, ExperimentStore
from jobs.storage.store import Storage

DECISIONS, APPROVALS = "decisions", "approvals"
_Record = TypeVar("_Record", bound=Strict)


class DamagedDecision(ExperimentError):
    """A decision or an approval cannot be read."""


class Guarded(Strict):
    """What a guardrail said."""

    metric: str
    margin: float
    better: Literal["more", "less"]
    state: Literal["broken", "suspected", "held", "unknown"]
    said: str


class DecisionRecord(Strict):
    """A week's decision."""

    format: Literal[1] = 1
    product: str
    experiment: str
    week: int
    """Weeks of the experiment that were over."""
    as_of: dt.date
    decided: AwareDatetime
    action: Literal["raise", "hold", "stop"]
    share_bp: Share
    """Share of the users to be treated."""
    run_share_bp: Share
    """Share that the run covers: the same, or the first step where a person keeps everybody from being treated."""
    reasons: tuple[str, ...]
    before_bp: Share
    """Share that was treated when this was decided."""
    cap_bp: Share
    """The operator's cap then."""
    held: str | None
    """The operator's hold then."""
    approved_bp: Share
    """Share up to which people had let it rise."""
    sums: str | None
    """SHA-256 of the newest sums, which it rests on; None: no week was measured."""
    guardrails: tuple[Guarded, ...]
    mismatch: str | None
    """What was said of the arms' sizes."""
    enforced: tuple[str, ...] | None = None
    """What was done to stop; None: nothing yet, or it is no stop."""

    def __str__(self) -> str:
        return f"{self.action} at {self.share_bp}: {'; '.join(self.reasons)}"

    @property
    def tags(self) -> dict[str, str]:
        """Tags of the version in MLflow whose run follows from it."""
        return {
            "discovery.experiment": self.experiment,
            "discovery.ramp": self.action,
            "discovery.ramp_share": str(self.share_bp),
            "discovery.ramp_reasons": "; ".join(self.reasons)[:1_000],
        }


class Approval(Strict):
    """A share up to which people let the ramp rise."""

    share_bp: Share
    approved: AwareDatetime
    who: str
    reason: str


@dataclass(frozen=True)
class DecisionStore:
    """The decisions and approvals of one experiment."""

    at: Storage

    @classmethod
    def of(cls, experiments: ExperimentStore, name: str) -> "DecisionStore":
        """Returns the store of an experiment."""
        return cls(experiments.folder(name))

    def find(self, week: int) -> DecisionRecord | None:
        """Returns the decision when so many weeks were over; None: there is none. Raises DamagedDecision."""
        path = f"{DECISIONS}/week-{week:02d}.json"
        return self._read(path, DecisionRecord) if self.at.exists(path) else None

    def all(self) -> list[DecisionRecord]:
        """Returns all decisions, the oldest first; raises DamagedDecision."""
        names = sorted(info.base_name for info in self.at.files(DECISIONS))
        found = (self._read(f"{DECISIONS}/{name}", DecisionRecord) for name in names)
        return sorted(found, key=lambda one: one.week)

    def write(self, decision: DecisionRecord) -> DecisionRecord:
        """Keeps a decision. Returns it."""
        content = decision.model_dump_json(indent=1).encode()
        self.at.write_bytes(f"{DECISIONS}/week-{decision.week:02d}.json", content)
        return decision

    def approvals(self) -> list[Approval]:
        """Returns all approvals, the lowest share first; raises DamagedDecision."""
        names = (info.base_name for info in self.at.files(APPROVALS))
        found = (self._read(f"{APPROVALS}/{name}", Approval) for name in names)
        return sorted(found, key=lambda one: one.share_bp)

    def approve(self, approval: Approval) -> None:
        """Keeps an approval, in place of an earlier one of the same share."""
        path = f"{APPROVALS}/{approval.share_bp.bp}.json"
        self.at.write_bytes(path, approval.model_dump_json(indent=1).encode())

    @property
    def approved(self) -> Share:
        """The highest share that was approved."""
        return max((one.share_bp for one in self.approvals()), default=NOBODY)

    def _read(self, path: str, kind: type[_Record]) -> _Record:
        try:
            return kind.model_validate_json(self.at.read_bytes(path))
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            raise DamagedDecision(
                f"{self.at.uri}/{path} cannot be read by this version ({'.'.join(map(str, first['loc']))}: "
                f"{first['msg']}); restore it from a copy, or upgrade"
            ) from None
