"""What is kept of users: sums and cross-products of their weekly figures, of one metric in one slice of the hash.

Variables of week w (0: the covariate's period before week 1) are a row of a user: `a{w}` 1 if the user was in the
audience before that week, `x{w}` what the metric counts, `y{w}` what a ratio divides by. Who did nothing is a row of
zeros behind `a{w}`. Any mean, ratio or contrast of weeks and its variance follows from these sums; users do not.
"""

import itertools
import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.errors import BadMoments

Floats = NDArray[np.float64]

WHOLE_BP = 10_000
"""Basis points of the whole hash."""


def variables_of(weeks: int, *, ratio: bool) -> tuple[str, ...]:
    """Returns the names of the variables of weeks 0 … `weeks`, week by week."""
    letters = "axy" if ratio else "ax"
    return tuple(f"{letter}{week}" for week in range(weeks + 1) for letter in letters)


@dataclass(frozen=True, order=True)
class Slice:
    """Users whose place by the salt's hash (`conf.ids.arm_of`) is from `low_bp` to below `high_bp`."""

    low_bp: int
    high_bp: int

    def __post_init__(self) -> None:
        if not 0 <= self.low_bp < self.high_bp <= WHOLE_BP:
            raise BadMoments(f"slice {self}: bounds rise from 0 to {WHOLE_BP:,} basis points")

    def __str__(self) -> str:
        """E.g. "[100, 500)"."""
        return f"[{self.low_bp}, {self.high_bp})"

    @property
    def width_bp(self) -> int:
        """Basis points of the hash in it."""
        return self.high_bp - self.low_bp

    def is_treated(self, share_bp: int) -> bool:
        """Returns whether its users are treated at a share. Raises BadMoments if the share cuts it in two."""
        if self.low_bp < share_bp < self.high_bp:
            raise BadMoments(f"slice {self}: a share of {share_bp} basis points cuts it; cut the slices at every share")
        return self.high_bp <= share_bp


def slices_at(shares_bp: Iterable[int]) -> tuple[Slice, ...]:
    """Returns the slices between all shares that an experiment has had, which together are the whole hash."""
    cuts = sorted({0, WHOLE_BP, *shares_bp})
    return tuple(Slice(low, high) for low, high in itertools.pairwise(cuts))


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over the users of a slice; equal if every number is."""

    variables: tuple[str, ...]
    n: int
    """Users with a row: who was in the audience of any of the weeks."""
    total: Floats
    """(v,) sum of each variable."""
    products: Floats
    """(v, v) sum of the product of each pair; symmetric."""

    def __post_init__(self) -> None:
        size = len(self.variables)
        if len(set(self.variables)) != size:
            raise BadMoments(f"moments: a variable is named twice in {self.variables}")
        if self.n < 0 or self.total.shape != (size,) or self.products.shape != (size, size):
            shapes = f"{self.total.shape}, {self.products.shape}"
            raise BadMoments(f"moments of {self.n} users and {size} variables: sums have the shapes {shapes}")

    @classmethod
    def of(cls, variables: Sequence[str], rows: ArrayLike) -> Self:
        """Returns the sums of a matrix of users × variables."""
        matrix = np.asarray(rows, dtype=np.float64).reshape(-1, len(variables))
        return cls(tuple(variables), len(matrix), matrix.sum(axis=0), matrix.T @ matrix)

    @classmethod
    def none(cls, variables: Sequence[str]) -> Self:
        """Returns the sums of nobody."""
        size = len(variables)
        return cls(tuple(variables), 0, np.zeros(size), np.zeros((size, size)))

    def __add__(self, other: "Moments") -> "Moments":
        if self.variables != other.variables:
            raise BadMoments(f"moments of {self.variables} and of {other.variables} do not add up")
        return Moments(self.variables, self.n + other.n, self.total + other.total, self.products + other.products)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Moments):
            return NotImplemented
        return (
            (self.variables, self.n) == (other.variables, other.n)
            and np.array_equal(self.total, other.total)
            and np.array_equal(self.products, other.products)
        )

    __hash__ = None  # type: ignore[assignment]  # sums are arrays

    def select(self, variables: Sequence[str]) -> "Moments":
        """Returns the sums of some variables, in this order. Raises BadMoments for one that is not there."""
        missing = [name for name in variables if name not in self.variables]
        if missing:
            raise BadMoments(f"moments hold {', '.join(self.variables)} and not {', '.join(missing)}")
        at = [self.variables.index(name) for name in variables]
        return Moments(tuple(variables), self.n, self.total[at], self.products[np.ix_(at, at)])

    def to_bytes(self) -> bytes:
        """Returns names and number as a line of JSON, then the sums and half of the products as packed float64."""
        head = json.dumps({"n": self.n, "variables": self.variables}, separators=(",", ":")).encode()
        half = self.products[np.triu_indices(len(self.variables))]
        numbers = np.concatenate([self.total, half]).astype("<f8")
        return head + b"\n" + zlib.compress(numbers.tobytes(), 9)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Returns what `to_bytes` wrote, bit by bit. Raises BadMoments for anything else."""
        try:
            head, _, packed = data.partition(b"\n")
            said = json.loads(head)
            variables, n = tuple(map(str, said["variables"])), int(said["n"])
            numbers = np.frombuffer(zlib.decompress(packed), dtype="<f8").astype(np.float64)
            size = len(variables)
            products = np.zeros((size, size))
            products[np.triu_indices(size)] = numbers[size:]
        except (ValueError, KeyError, TypeError, zlib.error) as error:
            raise BadMoments(f"{len(data)} bytes are not moments: {error}") from None
        return cls(variables, n, numbers[:size], products + np.triu(products, 1).T)
