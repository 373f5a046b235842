"""What a walk works on and what it tells."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.ranking.exclusions import Bits, Exclusions
from models.ranking.index import SourceIndex
from models.ranking.lists import BestSoFar


class Block(NamedTuple):
    """Users that walk together: factors float32 (m, d), the same in float64, norms float64 (m,), what they must not
    get, excluded (m, panels): bits of the sources that are not to be looked at, and their lists.
    """

    factors: NDArray[np.float32]
    wide: NDArray[np.float64]
    norms: NDArray[np.float64]
    exclusions: Exclusions
    excluded: Bits
    lists: BestSoFar

    def part(self, start: int, stop: int) -> "Block":
        """Some of the users; what is put into their lists is in these."""
        some = slice(start, stop)
        exclusions, lists = self.exclusions.take(some), self.lists.part(some)
        return Block(self.factors[some], self.wide[some], self.norms[some], exclusions, self.excluded[some], lists)


@dataclass(frozen=True)
class Counts:
    """Work done: pairs that were screened, and candidates among them whose score was computed."""

    pairs: int = 0
    candidates: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.pairs + other.pairs, self.candidates + other.candidates)


Walk = Callable[[SourceIndex, Block], Counts]
"""Offers the sources of an index to the lists of a block of users, as far as they can matter."""
