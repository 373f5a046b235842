"""A run as the registry keeps it: what was announced, and its state; and a record that this version cannot read.

A record may be of a newer version, or damaged. One such record is nobody else's fault: it is shown, and otherwise left
alone, and all other runs go on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from conf.base import Strict
from publish.errors import MalformedMessage
from publish.wire.announcement import Announcement

_STATE = b":state"
_SHOWN = 200
"""Characters of a text that is not ours, at most."""


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
class RegisteredRun:
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


@dataclass(frozen=True)
class UnreadableRun:
    """A record of the registry that is no run to this version."""

    name: str
    """The run, as its field is called; what is no plain text there is escaped."""
    why: str
    epoch: int | None = None
    """The run's epoch, where at least that can be told."""
    is_over: bool = False
    """Its state can be read, and nothing of it may be loaded any more."""


@dataclass(frozen=True)
class Register:
    """All that a registry holds."""

    runs: tuple[RegisteredRun, ...]
    """The oldest first."""
    unreadable: tuple[UnreadableRun, ...]
    """By name."""


def read_register(product: str, fields: Mapping[bytes, bytes]) -> Register:
    """Returns what the fields of `{<product>}:runs` are."""
    names = sorted({name.removesuffix(_STATE) for name in fields})
    found = [_run_or_why(product, name, fields.get(name), fields.get(name + _STATE)) for name in names]
    runs = (run for run in found if isinstance(run, RegisteredRun))
    return Register(
        tuple(sorted(runs, key=lambda run: run.announcement.epoch)),
        tuple(run for run in found if isinstance(run, UnreadableRun)),
    )


def read_run(product: str, name: str, announcement: bytes | None, status: bytes | None) -> RegisteredRun:
    """Returns the run of its two fields; raises MalformedMessage."""
    said = read_announcement(product, name, announcement)
    return RegisteredRun(said, _status(status))


def read_announcement(product: str, name: str, raw: bytes | None) -> Announcement:
    """Returns what was announced as the run `name`; raises MalformedMessage."""
    if raw is None:
        raise MalformedMessage("it has a state and no announcement")
    said = _announcement(raw)
    if (said.run, said.product) != (name, product):
        raise MalformedMessage(f"its announcement is that of run {said.run} of {said.product}")
    return said


def _run_or_why(
    product: str, name: bytes, announcement: bytes | None, status: bytes | None
) -> RegisteredRun | UnreadableRun:
    try:
        return read_run(product, name.decode(errors="replace"), announcement, status)
    except MalformedMessage as fault:
        shown = _printable(name.decode(errors="backslashreplace"))
        return UnreadableRun(shown, _printable(fault.reason), _epoch(announcement), _is_over(status))


def _status(raw: bytes | None) -> RunStatus:
    if raw is None:
        raise MalformedMessage("it has an announcement and no state")
    try:
        return RunStatus.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise MalformedMessage(": ".join(["state", *map(str, first["loc"]), first["msg"]])) from None


@lru_cache(maxsize=128)
def _announcement(raw: bytes) -> Announcement:
    """Returns an announcement never changes, and is read every second."""
    return Announcement.from_json(raw)


def _printable(text: str) -> str:
    """Returns a text that a stranger may have written, without what a terminal would obey."""
    cut = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in cut)


class _Epoch(BaseModel):
    epoch: int = Field(ge=1, lt=2**63)


def _epoch(announcement: bytes | None) -> int | None:
    """Returns what a document of any version says of its place."""
    try:
        return _Epoch.model_validate_json(announcement or b"").epoch
    except ValidationError:
        return None


def _is_over(status: bytes | None) -> bool:
    try:
        return _status(status).state.is_over
    except MalformedMessage:
        return False
