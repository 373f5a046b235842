"""The growth of the weekly job between two sizes, beside its goals."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Size:
    """The events of a world, and what the whole job took of it."""

    events: int
    seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class Figure:
    """A figure and the most that it should be."""

    name: str
    value: float
    goal: float

    def __str__(self) -> str:
        """Returns name, value and goal."""
        return f"{self.name}: {self.value:.2f} (goal ≤ {self.goal:g})"

    def result(self) -> dict[str, Any]:
        """Returns the fields, and whether the goal is met, for JSON."""
        return asdict(self) | {"met": self.value <= self.goal}


def growth(small: Size, large: Size) -> list[Figure]:
    """Returns what more events cost; the goal for memory is that of sixteen times the events."""
    more = (large.events - small.events) / 1e6
    times = large.events / small.events
    return [
        Figure("seconds per million more events", (large.seconds - small.seconds) / more, 3),
        Figure(f"peak memory of {times:.0f} times the events", large.peak_bytes / small.peak_bytes, 1.3),
    ]
