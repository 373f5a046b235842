"""A run as the registry keeps it: what was announced, and its state."""

from dataclasses import dataclass
from enum import StrEnum

from pydantic import AwareDatetime

from conf.base import Strict
from publish.wire.announcement import Announcement


class RunState(StrEnum):
    """Where a run stands; that it serves is a fact of the pointer."""

    ANNOUNCED = "ANNOUNCED"
    LOADING = "LOADING"
    READY = "READY"
    """Every partition is verified."""
    FAILED = "FAILED"
    ROLLED_BACK = "ROLLED_BACK"
    RETIRED = "RETIRED"

    @property
    def is_over(self) -> bool:
        """Nothing of the run may be loaded any more."""
        return self in (RunState.FAILED, RunState.ROLLED_BACK, RunState.RETIRED)


class RunStatus(Strict):
    """The state of a run, since when and why."""

    state: RunState
    since: AwareDatetime
    reason: str | None = None
    restoring: bool = False
    """On its way back after the loss of Redis: `rebuild` watches it, and puts the pointer back."""
    held: str | None = None
    """Why it was not promoted when it became READY: only a person promotes it now."""
    let_go: AwareDatetime | None = None
    """When the pointer last stopped naming it."""
    cleared: AwareDatetime | None = None
    """When its lists were deleted."""


@dataclass(frozen=True)
class Run:
    """One run of the registry."""

    announcement: Announcement
    status: RunStatus

    @property
    def name(self) -> str:
        """The run id."""
        return self.announcement.run

    @property
    def state(self) -> RunState:
        """Where it stands."""
        return self.status.state
