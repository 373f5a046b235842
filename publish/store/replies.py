"""What the scripts of a partition answer."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple, Self


class Status(StrEnum):
    """What a script of a partition answered."""

    STALE = "STALE"
    """The position is another one; nothing was written."""
    NO_BEGIN = "NO_BEGIN"
    """The run never began here; nothing was written, the position stands."""
    BEGUN = "BEGUN"
    """The run begins here."""
    LOADING = "LOADING"
    """BEGIN again of a run that loads."""
    LOADED = "LOADED"
    """Every record is stored, or its hash where its user is erased."""
    ERASED = "ERASED"
    """Users of the batch, at the places that follow, are erased; nothing was written, the position stands."""
    FENCED = "FENCED"
    """The run is over here; nothing was written but the position."""
    CONFLICT = "CONFLICT"
    """Two records contradict each other; the partition is FAILED."""
    VERIFIED = "VERIFIED"
    """The partition is complete."""
    MOVED = "MOVED"
    """The position stands where it was asked to."""
    OVER = "OVER"
    """BEGIN again of a run that is over here."""


class Reply(NamedTuple):
    """A status, and the reason, the number of new records or the places that belong to it."""

    status: Status
    detail: str = ""

    @classmethod
    def of(cls, raw: Sequence[bytes | int]) -> Self:
        """Returns the reply that a script's answer is."""
        status, *rest = [word.decode(errors="replace") if isinstance(word, bytes) else str(word) for word in raw]
        return cls(Status(status), " ".join(rest))

    @property
    def places(self) -> tuple[int, ...]:
        """ERASED: which records of the batch, from 0."""
        return tuple(int(place) for place in self.detail.split())
