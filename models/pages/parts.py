"""What stands on a page beside its text: tables, plots, and numbers as they are written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

MISSING = "–"


@dataclass(frozen=True)
class Table:
    """Rows as wide as the header; columns from `numbers` on are aligned right."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: int = 1


@dataclass(frozen=True)
class Plot:
    """A drawing, by the name of its file without the ending; what it shows, for who cannot see it."""

    name: str
    shows: str
    draw: Callable[["Canvas"], None]
    size: tuple[float, float]
    """Inches, width and height."""


def share(value: float | None) -> str:
    """Returns a metric between 0 and 1 with four digits."""
    return MISSING if value is None else f"{value:.4f}"


def count(value: int | None) -> str:
    """Returns a whole number with its thousands."""
    return MISSING if value is None else f"{value:,}"


def interval(mean: float | None, low: float | None, high: float | None, sign: str = "") -> str:
    """Returns a mean and its interval as in 0.1234 (0.1200 … 0.1260); with sign "+", the signs too."""
    if mean is None:
        return MISSING
    ends = "" if low is None or high is None else f" ({low:{sign}.4f} … {high:{sign}.4f})"
    return f"{mean:{sign}.4f}{ends}"
