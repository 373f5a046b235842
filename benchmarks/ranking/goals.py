"""Goals: wall time relative to the bare matrix product, and speed relative to other libraries."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

_PRODUCT = {
    ("deck_cards_64", 20): (0.40, 0.65),
    ("deck_cards_64", 100): (0.60, 1.0),
    ("gowalla_64", 20): (0.17, 0.45),
    ("gowalla_64", 100): (0.35, 0.95),
    ("gowalla_128", 20): (0.30, 0.80),
    ("gowalla_128", 100): (0.50, 1.3),
    ("million_64", 20): (0.03, 0.10),
    ("million_64", 100): (0.06, 0.20),
}
"""(set, N) → goals for ours and for the portable form."""
_MANY_SOURCES = 1_000_000


@dataclass(frozen=True)
class Goal:
    """One goal; `ratio` is None where an arm is missing, `goal` where none is set."""

    what: str
    ratio: float | None
    goal: float | None
    at_least: bool

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None where it cannot be judged."""
        if self.ratio is None or self.goal is None:
            return None
        return self.ratio >= self.goal if self.at_least else self.ratio <= self.goal

    def result(self) -> dict[str, Any]:
        """Returns the goal as JSON-ready values."""
        return asdict(self) | {"met": self.met}


def goals_of(name: str, sources: int, n: int, ratios: Mapping[str, float | None]) -> list[Goal]:
    """Returns the goals of a set and an N.

    `ratios`: time of "ours" and "portable" ÷ that of sgemm; time of the other arms ÷ that of ours.
    """
    ours, portable = _PRODUCT.get((name, n), (None, None))
    implicit = 50 if sources >= _MANY_SOURCES else 7
    return [
        Goal("ours ÷ sgemm", ratios["ours"], ours, at_least=False),
        Goal("portable ÷ sgemm", ratios["portable"], portable, at_least=False),
        Goal("× implicit", ratios["implicit"], implicit, at_least=True),
        Goal("× faiss", ratios["faiss"], 1, at_least=True),
        Goal("× Spark ML", ratios["spark"], 100, at_least=True),
    ]
