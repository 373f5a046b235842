"""A figure of ours beside the rival's, their ratio and the goal; and the table of such rows."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Row:
    """One figure; `ratio` should be at least `goal` (`at_least`), or at most; without a goal it is only printed."""

    name: str
    unit: str
    ours: float
    rival: float | None
    """None: the goal is for ours alone, and `ratio` is our figure."""
    against: str
    """Name of the rival."""
    ratio: float
    goal: float | None = None
    at_least: bool = False
    ours_rounds: tuple[float, ...] = ()
    rival_rounds: tuple[float, ...] = ()

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        if self.goal is None:
            return None
        return self.ratio >= self.goal if self.at_least else self.ratio <= self.goal

    def result(self) -> dict[str, Any]:
        """Returns the row as JSON-ready values."""
        return asdict(self) | {"met": self.met}


def times_faster(
    name: str, unit: str, ours: Sequence[float], rival: Sequence[float], against: str, goal: float | None
) -> Row:
    """Returns a row with rival ÷ ours, at least the goal; medians of the rounds."""
    one, other = median(ours), median(rival)
    ratio = other / one
    return Row(
        name, unit, one, other, against, ratio, goal, at_least=True, ours_rounds=tuple(ours), rival_rounds=tuple(rival)
    )


def share_of(
    name: str, unit: str, ours: Sequence[float], rival: Sequence[float], against: str, goal: float | None
) -> Row:
    """Returns a row with ours ÷ rival, at most the goal; medians of the rounds."""
    one, other = median(ours), median(rival)
    ratio = one / other
    return Row(name, unit, one, other, against, ratio, goal, ours_rounds=tuple(ours), rival_rounds=tuple(rival))


def as_good(name: str, ours: float, rival: float, against: str, goal: float) -> Row:
    """Returns a row with ours ÷ rival of a quality, at least the goal."""
    return Row(name, "", ours, rival, against, ours / rival, goal, at_least=True)


def within(name: str, unit: str, ours: Sequence[float], goal: float | None) -> Row:
    """Returns a row with our figure, at most the goal; the median of the rounds."""
    one = median(ours)
    return Row(name, unit, one, None, "", one, goal, ours_rounds=tuple(ours))


def table(rows: Sequence[Row]) -> str:
    """Returns the rows as text."""
    width = max(len(row.name) for row in rows) + 2
    lines = [f"{'':<{width}}{'ours':>10}{'rival':>10}{'':<7}{'ratio':>8}{'goal':>8}  met"]
    lines += [_line(row, width) for row in rows]
    return "\n".join(lines)


def _line(row: Row, width: int) -> str:
    rival = "" if row.rival is None else f"{row.rival:.3g}"
    goal = "" if row.goal is None else f"{'≥' if row.at_least else '≤'} {row.goal:.3g}"
    met = {None: "", True: "yes", False: "no"}[row.met]
    against = f"   {row.against}" if row.against else ""
    return f"{row.name:<{width}}{row.ours:>10.3g}{rival:>10} {row.unit:<6}{row.ratio:>8.3g}{goal:>8}  {met:<3}{against}"
