"""A fault of the newest week, with a name, and how it is put together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa
from numpy.random import Generator

from benchmarks.drift import faults
from benchmarks.drift.week import Change, Week

Fault = Callable[[pa.Table, Generator], pa.Table]
Plan = Callable[[Week, Sequence[str], Generator], Change]
"""(week, datasets, random generator) → what is done to the rows of each of them; what it draws is the same for all."""
Apply = Callable[[Week, Generator], None]


@dataclass(frozen=True)
class Corruption:
    """A fault of the newest week."""

    name: str
    kind: str
    """The group that it belongs to."""
    datasets: tuple[str, ...]
    """Where the fault is; several where it has no single origin."""
    what: str
    """One sentence."""
    apply: Apply
    needs: str = ""
    """An optional column without which it cannot be planted."""


def fault(name: str, kind: str, datasets: tuple[str, ...], what: str, change: Fault, needs: str = "") -> Corruption:
    """Returns a corruption that does the same to each of the datasets, on its own."""
    return plan(name, kind, datasets, what, lambda week, names, rng: lambda table: change(table, rng), needs)


def plan(name: str, kind: str, datasets: tuple[str, ...], what: str, lay: Plan, needs: str = "") -> Corruption:
    """Returns a corruption of which all the datasets have a part."""

    def apply(week: Week, rng: Generator) -> None:
        change = lay(week, datasets, rng)
        for dataset in datasets:
            week.change(dataset, change)

    return Corruption(name, kind, datasets, what, apply, needs)


def shuffle(column: str) -> Fault:
    """Returns a fault that puts the values of a column in random order."""
    return lambda table, rng: faults.shuffled(table, column, rng)


def lose(column: str, share: float) -> Plan:
    """Returns a plan that loses all rows of a random share of the ids in a column."""

    def lay(week: Week, datasets: Sequence[str], rng: Generator) -> Change:
        lost = faults.some(week.ids(column, datasets), share, rng)
        return lambda table: faults.without(table, column, lost)

    return lay
