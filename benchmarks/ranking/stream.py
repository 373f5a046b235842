"""A set of factors as files, which workers read block by block, so that a worker needs no memory for all users."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

if TYPE_CHECKING:  # workers must not grow by what training needs
    from benchmarks.ranking.factors import FactorSet

Factors = NDArray[np.float32]

BLOCK = 4_096
"""Users that an arm ranks per call."""


@dataclass(frozen=True)
class Stream:
    """The files of a set; `users` are in the order of the set, `dimensions` is d."""

    folder: str
    users: int
    sources: int
    dimensions: int

    @classmethod
    def write(cls, factors: "FactorSet", folder: Path) -> "Stream":
        """Writes the files of a set into an existing folder."""
        factors.users.tofile(folder / "users")
        factors.exclusions.indptr.astype(np.int64).tofile(folder / "indptr")
        factors.exclusions.indices.astype(np.int32).tofile(folder / "indices")
        np.save(folder / "sources.npy", factors.sources)
        return cls(str(folder), len(factors.users), len(factors.sources), factors.users.shape[1])

    def read_sources(self) -> Factors:
        """Reads all source factors into memory."""
        sources: Factors = np.load(Path(self.folder) / "sources.npy")
        return sources

    def blocks(self, start: int, stop: int) -> Iterator[tuple[Factors, csr_matrix]]:
        """Yields the users start … stop − 1 and their exclusions, at most BLOCK at a time."""
        for first in range(start, stop, BLOCK):
            yield self._block(first, min(first + BLOCK, stop))

    def _block(self, start: int, stop: int) -> tuple[Factors, csr_matrix]:
        width = self.dimensions
        users = self._read("users", np.float32, start * width, (stop - start) * width).reshape(-1, width)
        indptr = self._read("indptr", np.int64, start, stop - start + 1)
        indices = self._read("indices", np.int32, int(indptr[0]), int(indptr[-1] - indptr[0]))
        shape, entries = (stop - start, self.sources), np.ones(len(indices), np.float32)
        return users, csr_matrix((entries, indices, (indptr - indptr[0]).astype(np.int32)), shape=shape)

    def _read(self, name: str, kind: type[np.generic], first: int, count: int) -> NDArray[Any]:
        # Not memory-mapped: mapped pages would count as memory of the arm.
        size = np.dtype(kind).itemsize
        found: NDArray[Any] = np.fromfile(Path(self.folder) / name, kind, count, offset=first * size)
        return found
