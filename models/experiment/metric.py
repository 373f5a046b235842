"""What an experiment counts per user and week: the names of metrics, and which two make a ratio."""

from dataclasses import dataclass
from typing import Self

BASE = ("answers", "events", "hits", "listed_new", "new", "owned_events", "owned_new", "seen")
"""Metrics that every experiment has, whether anything was counted or not."""
RATIOS = {"hits/answers": ("hits", "answers"), "listed_new/owned_new": ("listed_new", "owned_new")}
"""Ratio → what is divided, and by what."""
_AMOUNTS = ("amount", "owned_amount")
_UNIT = 2**20


@dataclass(frozen=True, order=True)
class Metric:
    """A metric; written e.g. `hits`, `events:event=like`, `new:category=news`; `new:category`: category unknown."""

    name: str
    by: str = ""
    value: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Returns the metric that is written so; values may hold any character."""
        name, _, rest = text.partition(":")
        by, equals, value = rest.partition("=")
        return cls(name, by, value if equals else None)

    def __str__(self) -> str:
        text = f"{self.name}:{self.by}" if self.by else self.name
        return text if self.value is None else f"{text}={self.value}"

    @property
    def parts(self) -> tuple[str, str] | None:
        """Numerator and denominator of a ratio; None: it is none."""
        return RATIOS.get(self.name)

    @property
    def unit(self) -> int:
        """Parts of 1 in which it is summed: amounts are rounded to 2^-20, counts are whole."""
        return _UNIT if self.name in _AMOUNTS else 1
