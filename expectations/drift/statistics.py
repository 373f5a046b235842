"""The statistics: what each counts, on which scale it changes, and which harm to lists it guards against.

`docs/drift.md` is their reference. A subject is a dataset or a table of a run; a statistic's full name is
`SUBJECT.NAME`, e.g. `clicks.users`; settings, overrides and reports use it.
"""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Literal

from conf.gates import DriftMode

Kind = Literal["events", "snapshot", "sources", "interactions", "factors", "lists", "judged", "served"]
"""What a subject is; `sources` is the snapshot of that name, which has statistics beside those of every snapshot."""
OF_DATA: frozenset[Kind] = frozenset({"events", "snapshot", "sources"})
"""What both arms of an experiment read alike; everything else is of one run, and so of one arm."""
Grain = Literal["day", "week", "run"]
"""day: one number per day, new days are taken together. week: a number of each day about the seven days up to it, the
newest is judged. run: one number per run."""
Scale = Literal["count", "ratio", "share", "days", "plain"]
"""count and ratio: logarithm; share: logit; days: logarithm of days and a week, so that a run may come on another
weekday; plain: as it is."""
Side = Literal["both", "low", "high"]
Mode = DriftMode

SHARE_OF = "share_of_"
"""Begins the name of an event name's share of a dataset's events."""
_A_WEEK = 7
_FLOOR = 0.2
"""Least scale of a statistic ÷ its prior: what never varied may still vary a little."""


@dataclass(frozen=True)
class Statistic:
    """One statistic of one kind of subject."""

    kind: Kind
    name: str
    grain: Grain
    scale: Scale
    prior: float
    """Usual standard deviation from week to week on its scale, used while history is short."""
    side: Side
    """Which changes are alarms."""
    mode: Mode
    """What an alarm does unless the settings say otherwise."""
    label: str
    """Its value in words, e.g. "events a day"."""
    harm: str
    """What happens to lists when nobody sees it change."""

    @property
    def floor(self) -> float:
        """Least scale of its changes."""
        return _FLOOR * self.prior

    def to_scale(self, value: float, n: float) -> float:
        """Returns the value on the scale on which changes add up; `n`: of how many it is a share or a mean."""
        if self.scale == "count":
            return math.log(max(value, 0) + 0.5)
        if self.scale == "ratio":
            return math.log(max(value, 1e-9))
        if self.scale == "days":
            return math.log(max(value, 0) + _A_WEEK)
        if self.scale == "share":
            part = (min(max(value, 0), 1) * n + 0.5) / (n + 1)
            return math.log(part / (1 - part))
        return value

    def of_scale(self, value: float) -> float:
        """Returns the value that `to_scale` put on the scale, without its correction for small numbers."""
        if self.scale in ("count", "ratio"):
            return math.exp(min(value, 700))
        if self.scale == "days":
            return math.exp(min(value, 700)) - _A_WEEK
        return 1 / (1 + math.exp(-max(min(value, 700), -700))) if self.scale == "share" else value

    def noise(self, value: float, n: float) -> float:
        """Returns the standard deviation on the scale that counting alone causes."""
        if self.scale == "count":
            return 1 / math.sqrt(max(value, 0) + 0.5)
        if self.scale == "share":
            part = (min(max(value, 0), 1) * n + 0.5) / (n + 1)
            return 1 / math.sqrt((n + 1) * part * (1 - part))
        return 0.0


def _read() -> dict[tuple[Kind, str], Statistic]:
    rows = csv.DictReader(resources.files(__package__).joinpath("statistics.csv").read_text().splitlines())
    found = [Statistic(**{**row, "prior": float(row["prior"])}) for row in rows]  # type: ignore[arg-type]
    return {(one.kind, one.name): one for one in found}


STATISTICS: Mapping[tuple[Kind, str], Statistic] = _read()
"""Of `statistics.csv`: (kind, name) → statistic; an event name's share of a dataset is by `statistic`."""


def statistic(kind: Kind, name: str) -> Statistic | None:
    """Returns the statistic of that name; None where there is none (e.g. in a history by newer code)."""
    if kind == "events" and name.startswith(SHARE_OF):
        event = name.removeprefix(SHARE_OF)
        harm = "names of events are swapped, lost or wrong: weights count for something else"
        return Statistic(kind, name, "day", "share", 0.1, "both", "block", f"share of {event} in events", harm)
    found = STATISTICS.get((kind, name))
    return STATISTICS.get(("snapshot", name)) if found is None and kind == "sources" else found
