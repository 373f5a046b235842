"""How numbers of a run are spread: fixed quantiles, in one pass over them and in any order."""

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow.dataset as ds
from numpy.typing import NDArray

from models.arrays.arrow import ListColumn, factor_matrix, lengths_of, numpy_of
from models.arrays.streamed import streamed

PERCENTS = (0, 1, 5, 25, 50, 75, 95, 99, 100)

_DROPPED = 12
"""Bits of a float32's mantissa that cells of the histogram leave out: quantiles are right to 0.05 %."""
_SIGN = np.uint32(2**31)
_BATCH = 2**14
"""Rows read at once."""


@dataclass(frozen=True)
class Shape:
    """How many numbers there are, and their quantiles at PERCENTS: the smallest and largest as they are."""

    count: int
    quantiles: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """Returns the fields by name, as JSON values."""
        return {**asdict(self), "quantiles": list(self.quantiles)}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Shape":
        """Returns what `to_json` gave; raises KeyError, TypeError, ValueError when it is something else."""
        quantiles = tuple(float(value) for value in kept["quantiles"])
        if len(quantiles) != len(PERCENTS):
            raise ValueError(f"{len(quantiles)} quantiles instead of {len(PERCENTS)}")
        return cls(int(kept["count"]), quantiles)


def score_shape(lists: ds.Dataset) -> Shape | None:
    """Of the scores in the personal lists (contract.lists); None without any. Those of fallback lists count users."""
    return shape_of(_scores(lists))


def norm_shape(factors: ds.Dataset) -> Shape | None:
    """Of the Euclidean norms of contract.user_factors or contract.source_factors; None without any."""
    return shape_of(_norms(factors))


def shape_of(parts: Iterable[NDArray[np.float32]]) -> Shape | None:
    """Of finite numbers, part after part; None when there are none.

    Counts them in 2²⁰ cells whose order is that of the numbers, so that memory does not depend on how many there are,
    nor the result on their order.
    """
    counts, ends = np.zeros(2 ** (32 - _DROPPED), np.int64), [np.inf, -np.inf]
    for part in parts:
        if len(part):
            counts += np.bincount(_ordered(part) >> _DROPPED, minlength=len(counts))
            ends = [min(ends[0], float(part.min())), max(ends[1], float(part.max()))]
    total = int(counts.sum())
    if not total:
        return None
    ranks = [max(1, -(-percent * total // 100)) for percent in PERCENTS]  # nearest rank
    cells = np.searchsorted(np.cumsum(counts), ranks)
    inner = (min(max(_value(int(cell)), ends[0]), ends[1]) for cell in cells[1:-1])
    return Shape(total, (ends[0], *inner, ends[1]))


def _ordered(values: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Returns the bits of the numbers as integers that are in the same order."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def _value(cell: int) -> float:
    """Returns the number in the middle of a cell."""
    ordered = (cell << _DROPPED) + (1 << (_DROPPED - 1))
    bits = ordered ^ 2**31 if ordered & 2**31 else ordered ^ (2**32 - 1)
    return float(struct.unpack("<f", struct.pack("<I", bits))[0])


def _scores(lists: ds.Dataset) -> Iterator[NDArray[np.float32]]:
    for _, batch in streamed(lists, ["personal", "scores"], _BATCH):
        scores: ListColumn = batch.filter(batch["personal"])["scores"]
        yield numpy_of(scores.flatten())


def _norms(factors: ds.Dataset) -> Iterator[NDArray[np.float32]]:
    for _, batch in streamed(factors, ["factors"], _BATCH):
        vectors = factor_matrix(batch["factors"], int(lengths_of(batch["factors"])[0]))
        yield np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
