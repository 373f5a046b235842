"""The floor of some stages of a run, and how it is timed."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

CORES = 2
"""Cores that a floor may use."""
_ROUNDS = 2


@dataclass(frozen=True)
class Floor:
    """The least seconds of some stages together."""

    stages: tuple[str, ...]
    parts: Mapping[str, float]
    """What is necessary → seconds; the floor is their sum."""
    uncounted: Mapping[str, float] = field(default_factory=dict)
    """What was measured as well and does not count: another tool for the same, or what runs beside a slower part."""

    @property
    def seconds(self) -> float:
        """The sum of the parts."""
        return sum(self.parts.values())


def best_seconds(work: Callable[[], object]) -> float:
    """Returns the seconds of the quicker of two calls."""
    taken = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken)
