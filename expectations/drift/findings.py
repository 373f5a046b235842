"""What was found of each statistic of a run, and the alarms that later runs remember."""

import datetime as dt
from typing import Literal

from pydantic import Field

from conf.base import Strict
from expectations.drift.statistics import Kind, Mode

State = Literal["ok", "alarm", "learning", "not judged"]
"""learning: too little history. not judged: nothing new, or only known or excluded days."""


class Point(Strict):
    """One week or run, on the statistic's own scale of values."""

    day: dt.date
    """Last day of the week, or `as_of` of the run."""
    found: float | None
    low: float | None
    """Least value that was allowed by what came before; None: nothing could be said."""
    high: float | None
    """Largest value that was allowed."""


class Finding(Strict):
    """One statistic of one run: the one test of it."""

    kind: Kind
    subject: str
    name: str
    """The statistic's name; the full name is `SUBJECT.NAME`."""
    mode: Mode
    state: State
    why: str = ""
    """Why it is learning or not judged."""
    p: float = 1.0
    """Probability of such a deviation, or a larger one, in a healthy week."""
    value: float | None = None
    """What was found: the level of the new days, or one of them."""
    note: str = ""
    """Which one was found, e.g. a segment, where it is the largest or smallest of several."""
    expected: float | None = None
    low: float | None = None
    high: float | None = None
    """The values allowed."""
    shift: float = 0.0
    """Found less expected, on the scale on which changes add up; what `accept` takes over."""
    days: tuple[dt.date, ...] = ()
    """New days of the week that deviates most, or the one that does; of a run its `as_of`."""
    made_of: tuple[str, ...] = ()
    """What the numbers of these days rest on."""
    since: str | None = None
    """First run that raised this alarm, if an earlier one did."""
    runs: int = 1
    """Number of runs, with this one, that raised it."""
    past: tuple[Point, ...] = ()
    """Weeks or runs before, oldest first, and the newest."""

    @property
    def full_name(self) -> str:
        """`SUBJECT.NAME`."""
        return f"{self.subject}.{self.name}"

    @property
    def blocks(self) -> bool:
        """Whether the run stops here."""
        return self.state == "alarm" and self.mode == "block"


class Alarm(Strict):
    """A finding that later runs remember, until its days change, are accepted or excluded, or are no longer read."""

    kind: Kind
    subject: str
    name: str
    days: tuple[dt.date, ...]
    made_of: tuple[str, ...]
    run: str
    """First run that raised it."""
    runs: int
    """Number of runs that raised it."""
    value: float | None
    expected: float | None
    low: float | None
    high: float | None
    shift: float
    p: float


class Accepted(Strict):
    """A level shift that an operator took over: numbers before these days are moved to the new level."""

    name: str
    """Full name of the statistic."""
    days: tuple[dt.date, ...]
    """Days of the alarm; those before the first are moved."""
    shift: float
    """By how much, on the statistic's scale."""
    reason: str
    by: str
    at: dt.datetime
    run: str | None = Field(default=None, exclude_if=lambda run: run is None)
    """The run whose own numbers these are, not those of data: of an experiment, its arm alone has the new level."""


class Excluded(Strict):
    """A day of a dataset that runs leave out."""

    dataset: str
    day: dt.date
    reason: str
    by: str
    at: dt.datetime
