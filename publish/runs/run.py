"""A run as the registry keeps it: its announcement and state; or a record that this version cannot read.

A record may be of a newer version, or damaged. It is reported and otherwise left alone; all other runs are unaffected.
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
"""Longest shown text from an unreadable record, in characters."""


class RunState(StrEnum):
    """State of a run; whether it serves is stated by the pointer."""

    ANNOUNCED = "ANNOUNCED"
    LOADING = "LOADING"
    READY = "READY"
    """Every partition is verified."""
    FAILED = "FAILED"
    ROLLED_BACK = "ROLLED_BACK"
    RETIRED = "RETIRED"

    @property
    def is_over(self) -> bool:
        """Whether nothing of the run may be loaded any more."""
        return self in (RunState.FAILED, RunState.ROLLED_BACK, RunState.RETIRED)


class RunStatus(Strict):
    """The state of a run, with time and reason."""

    state: RunState
    since: AwareDatetime
    reason: str | None = None
    restoring: bool = False
    """Being loaded again after a loss of Redis; `rebuild` watches it and restores the pointer."""
    held: str | None = None
    """Why it was not promoted when it became READY; from then on only an operator can promote it."""
    let_go: AwareDatetime | None = None
    """Time when the pointer last stopped naming it."""
    cleared: AwareDatetime | None = None
    """Time when its lists were deleted."""


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
        """Its state."""
        return self.status.state


@dataclass(frozen=True)
class UnreadableRun:
    """A record of the registry that this version cannot read."""

    name: str
    """The run's name, from the field's name; characters that are not plain text are escaped."""
    why: str
    epoch: int | None = None
    """The run's epoch, if at least that can be read."""
    is_over: bool = False
    """True if its state can be read and nothing of it may be loaded any more."""


@dataclass(frozen=True)
class RegistryContent:
    """The whole content of a registry."""

    runs: tuple[RegisteredRun, ...]
    """Oldest first."""
    unreadable: tuple[UnreadableRun, ...]
    """By name."""


def read_registry(product: str, fields: Mapping[bytes, bytes]) -> RegistryContent:
    """Returns the runs in the fields of `{<product>}:runs`, and the records that cannot be read."""
    names = sorted({name.removesuffix(_STATE) for name in fields})
    found = [_run_or_why(product, name, fields.get(name), fields.get(name + _STATE)) for name in names]
    runs = (run for run in found if isinstance(run, RegisteredRun))
    return RegistryContent(
        tuple(sorted(runs, key=lambda run: run.announcement.epoch)),
        tuple(run for run in found if isinstance(run, UnreadableRun)),
    )


def read_run(product: str, name: str, announcement: bytes | None, status: bytes | None) -> RegisteredRun:
    """Returns the run in its two fields; raises MalformedMessage."""
    announced = read_announcement(product, name, announcement)
    return RegisteredRun(announced, _status(status))


def read_announcement(product: str, name: str, raw: bytes | None) -> Announcement:
    """Returns the announcement of run `name`; raises MalformedMessage."""
    if raw is None:
        raise MalformedMessage("it has a state and no announcement")
    announced = _announcement(raw)
    if (announced.run, announced.product) != (name, product):
        raise MalformedMessage(f"its announcement is that of run {announced.run} of {announced.product}")
    return announced


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
    """Returns the parsed announcement; cached, as it never changes and is read every second."""
    return Announcement.from_json(raw)


def _printable(text: str) -> str:
    """Returns a shortened text from an untrusted source with control characters escaped."""
    cut = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in cut)


class _Epoch(BaseModel):
    epoch: int = Field(ge=1, lt=2**63)


def _epoch(announcement: bytes | None) -> int | None:
    """Returns the epoch in an announcement of any version, or None."""
    try:
        return _Epoch.model_validate_json(announcement or b"").epoch
    except ValidationError:
        return None


def _is_over(status: bytes | None) -> bool:
    try:
        return _status(status).state.is_over
    except MalformedMessage:
        return False
