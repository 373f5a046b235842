"""Replies of the partition scripts."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple, Self


class Status(StrEnum):
    """Status word in a script's reply."""

    STALE = "STALE"
    """The position is another one than expected; nothing was written."""
    NO_BEGIN = "NO_BEGIN"
    """The run never began in this partition; nothing was written and the position did not move."""
    BEGUN = "BEGUN"
    """The run begins in this partition."""
    LOADING = "LOADING"
    """A repeated BEGIN of a run that is being loaded."""
    LOADED = "LOADED"
    """Every record is stored, or its hash if its user is erased."""
    ERASED = "ERASED"
    """The batch has erased users, at the places that follow; nothing was written and the position did not move."""
    FENCED = "FENCED"
    """The run is over in this partition; only the position moved."""
    CONFLICT = "CONFLICT"
    """Two records contradict each other; the partition is FAILED."""
    VERIFIED = "VERIFIED"
    """The partition is complete."""
    MOVED = "MOVED"
    """The position moved as asked."""
    OVER = "OVER"
    """A repeated BEGIN of a run that is over in this partition."""


class Reply(NamedTuple):
    """A status with its detail: a reason, the number of new records, or places in the batch."""

    status: Status
    detail: str = ""

    @classmethod
    def of(cls, raw: Sequence[bytes | int]) -> Self:
        """Returns the reply in a script's raw answer."""
        status, *rest = [word.decode(errors="replace") if isinstance(word, bytes) else str(word) for word in raw]
        return cls(Status(status), " ".join(rest))

    @property
    def places(self) -> tuple[int, ...]:
        """For ERASED: indexes of those records in the batch, from 0."""
        return tuple(int(place) for place in self.detail.split())
