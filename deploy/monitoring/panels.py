"""Dashboards as values. Queries may hold `$product` and `$__rate_interval`, which Grafana fills in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["stat", "timeseries", "state-timeline", "table"]
Color = Literal["green", "yellow", "orange", "red", "blue", "text"]
Steps = Sequence[tuple[float, Color]]
"""From which value on which colour."""
Words = Mapping[float, tuple[str, Color]]
"""Value → what is said instead of it, and its colour."""


@dataclass(frozen=True)
class Query:
    """What is asked of Prometheus, and how a series of the answer is called."""

    expr: str
    legend: str = ""
    """May hold labels, e.g. "{{stage}}"."""
    dashed: bool = False
    """A limit, or an end of an interval, of what is drawn beside it."""


@dataclass(frozen=True)
class Panel:
    """One drawing."""

    title: str
    what: str
    """What is seen, and what to do about it."""
    queries: Sequence[Query]
    unit: str = "short"
    """One of Grafana's units."""
    kind: Kind = "timeseries"
    width: int = 8
    height: int = 7
    steps: Steps = ()
    """From which value on which colour; below the first of them the panel is `calm`."""
    calm: Color = "green"
    words: Words = field(default_factory=dict)
    """Value → what is said instead of it, and its colour."""
    alert: str = ""
    """The alert whose heading in docs/runbook.md says what to do."""
    decimals: int | None = None
    low: float | None = 0.0
    """Where the scale begins; None: at the smallest value."""
    high: float | None = None
    stacked: bool = False
    limits: bool = False
    """Whether the steps are drawn as lines."""
    columns: Sequence["Column"] = ()
    """Of a table: one for each query."""
    key: str = "product"
    """Of a table: the label that has a line for each of its values."""


@dataclass(frozen=True)
class Tile(Panel):
    """One number."""

    kind: Kind = "stat"
    width: int = 3
    height: int = 4


@dataclass(frozen=True)
class States(Panel):
    """Words over time: a bar for each series."""

    kind: Kind = "state-timeline"
    width: int = 12
    height: int = 5


@dataclass(frozen=True)
class Column:
    """One column of a table: what its query's numbers are called, and how they are written."""

    title: str
    unit: str = "short"
    steps: Steps = ()
    calm: Color = "green"
    words: Words = field(default_factory=dict)
    decimals: int | None = None


@dataclass(frozen=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Dashboard:
    """One page for one kind of reader."""

    name: str
    title: str
    what: str
    rows: Sequence[Row]
    since: str
    """Where time begins, e.g. "now-24h"."""
    refresh: str = "1m"
