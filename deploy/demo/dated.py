"""Events of a day with their moments, and what comes after a moment."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from deploy.demo.events import Happened, contains
from deploy.demo.ranked import Indices, Marks
from deploy.demo.volume import EVENTS

_LEAVE = EVENTS.index("leave")


@dataclass(frozen=True)
class Dated:
    """Events of one dataset and day, and the moment of each in microseconds since 1970."""

    happened: Happened
    moments: Indices

    def beside(self, other: "Dated") -> "Dated":
        """Returns the events of both in the order of time."""
        moments = np.concatenate([self.moments, other.moments])
        order = np.argsort(moments, kind="stable")
        pairs = np.concatenate([self.happened.pairs, other.happened.pairs])
        events = np.concatenate([self.happened.events, other.happened.events])
        return Dated(Happened(pairs[order], events[order]), moments[order])


@dataclass(frozen=True)
class LastEvents:
    """The last event of each pair of a user and a source on a day, leaving it aside."""

    pairs: Indices
    """Sorted."""
    moments: Indices

    @classmethod
    def of(cls, datasets: Iterable[Dated]) -> "LastEvents":
        """Finds them in all event datasets of a day."""
        kept = [(one, one.happened.events != _LEAVE) for one in datasets]
        pairs = np.concatenate([one.happened.pairs[here] for one, here in kept])
        moments = np.concatenate([one.moments[here] for one, here in kept])
        order = np.lexsort((moments, pairs))
        pairs, moments = pairs[order], moments[order]
        last = np.append(pairs[1:] != pairs[:-1], True)[: len(pairs)]
        return cls(pairs[last], moments[last])

    def after(self, pairs: Indices, moments: Indices) -> Marks:
        """Returns which of `pairs` have an event at their moment or later."""
        last = np.append(self.moments, -1)[np.searchsorted(self.pairs, pairs)]
        return np.asarray(contains(self.pairs, pairs) & (last >= moments))
