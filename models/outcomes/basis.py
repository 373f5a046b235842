"""What a figure about hits rests on: what was listed, what was answered, or what was shown.

listed     what would be answered: the lists of a run, shadow lists among them
answered   what was answered to look-ups: exposures
shown      what users saw: the dataset `impressions` of the caller

A list that nobody asked for was not answered, and of an answer the app may show three places, or none. So a hit rate
has another denominator on each basis, and another name; only what was shown can be clicked through.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Basis(StrEnum):
    """The three bases, the weakest first; the values are stored and printed."""

    LISTED = "listed"
    ANSWERED = "answered"
    SHOWN = "shown"

    @property
    def rate(self) -> str:
        """The one name that hits ÷ `per` may have."""
        return _RATES[self]

    @property
    def per(self) -> str:
        """What hits are divided by."""
        return _PER[self]


_RATES: Mapping[Basis, str] = {
    Basis.LISTED: "hits per list",
    Basis.ANSWERED: "hits per answer",
    Basis.SHOWN: "click-through rate",
}
_PER: Mapping[Basis, str] = {Basis.LISTED: "lists", Basis.ANSWERED: "answers", Basis.SHOWN: "impressions"}


def strongest(*, exposures: bool, impressions: bool) -> Basis:
    """Returns the best basis of the data that there are; lists there always are."""
    if impressions:
        return Basis.SHOWN
    return Basis.ANSWERED if exposures else Basis.LISTED


@dataclass(frozen=True)
class HitRate:
    """Hits and what they are divided by, which never lose the basis they rest on."""

    basis: Basis
    hits: int
    count: int
    """Lists, answers or impressions."""

    @property
    def value(self) -> float | None:
        """Hits ÷ count; None: there is nothing to divide by."""
        return self.hits / self.count if self.count else None

    def __str__(self) -> str:
        """E.g. "click-through rate 4.70 % (shown: 1,088 hits of 23,082 impressions)"."""
        return f"{self.basis.rate} {self.text} ({self.basis}: {self.counts})"

    @property
    def counts(self) -> str:
        """What it was made from, e.g. "1,088 hits of 23,082 impressions"."""
        return f"{self.hits:,} hits of {self.count:,} {self.basis.per}"

    @property
    def text(self) -> str:
        """The value for people: a share in percent where one hit is of one impression, else a mean."""
        if self.value is None:
            return "unknown"
        return f"{self.value:.2%}".replace("%", " %") if self.basis is Basis.SHOWN else f"{self.value:.3f}"
