"""What a walk works on and what it returns."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.ranking.exclusions import Bits, Exclusions
from models.ranking.index import SourceIndex
from models.ranking.lists import BestSoFar


class Block(NamedTuple):
    """Users that are ranked together: factors float32 (m, d), the same in float64, and norms float64 (m,).

    exclusions: the sources that each must not get; excluded (m, panels): bits of the sources that the walk must skip;
    lists: their best sources so far.
    """

    factors: NDArray[np.float32]
    wide: NDArray[np.float64]
    norms: NDArray[np.float64]
    exclusions: Exclusions
    excluded: Bits
    lists: BestSoFar

    def part(self, start: int, stop: int) -> "Block":
        """Returns some of the users; their lists share memory with this block's."""
        some = slice(start, stop)
        exclusions, lists = self.exclusions.take(some), self.lists.part(some)
        return Block(self.factors[some], self.wide[some], self.norms[some], exclusions, self.excluded[some], lists)


@dataclass(frozen=True)
class WalkCounts:
    """Work done: pairs that were screened, and candidates among them that were scored."""

    pairs: int = 0
    candidates: int = 0

    def __add__(self, other: "WalkCounts") -> "WalkCounts":
        return WalkCounts(self.pairs + other.pairs, self.candidates + other.candidates)


Walk = Callable[[SourceIndex, Block], WalkCounts]
"""Offers every source that can still enter a list to the lists of a block of users."""
