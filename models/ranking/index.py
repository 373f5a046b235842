"""The sources of one run, arranged for ranking."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.errors import BadFactors

_FILES = ("factors", "order", "norms")


@dataclass(frozen=True, eq=False)
class SourceIndex:
    """Sources by descending norm: factors float32 (n, d), their original rows int32 (n,), their norms float64 (n,)."""

    factors: NDArray[np.float32]
    order: NDArray[np.int32]
    norms: NDArray[np.float64]

    @classmethod
    def build(cls, source_factors: NDArray[np.float32]) -> "SourceIndex":
        """The index of source factors float32 (n, d), n and d ≥ 1; raises BadFactors on other shapes, NaN, infinite."""
        checked, norms = check_factors(source_factors, "source")
        if not len(checked) or len(checked) >= 2**31:
            raise BadFactors(f"an index holds 1 to 2^31 − 1 sources, got {len(checked)}")
        order = np.argsort(-norms, kind="stable").astype(np.int32)
        return cls(checked[order], order, norms[order])

    def __len__(self) -> int:
        return len(self.order)

    @property
    def dimensions(self) -> int:
        """Number of factors of a source."""
        return int(self.factors.shape[1])

    def save(self, path: str | Path) -> None:
        """Writes the arrays into the folder `path`, which is made if need be."""
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        for name in _FILES:
            np.save(folder / f"index_{name}.npy", getattr(self, name), allow_pickle=False)

    @classmethod
    def load(cls, path: str | Path) -> "SourceIndex":
        """The index in the folder `path`, memory-mapped: processes of one machine share one copy of it."""
        arrays = (np.load(Path(path) / f"index_{name}.npy", mmap_mode="r", allow_pickle=False) for name in _FILES)
        return cls(*arrays)


def check_factors(factors: NDArray[np.float32], whose: str) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Factors (n, d) as a C-contiguous array, and their Euclidean norms float64 (n,).

    Raises BadFactors when they are not float32 (n, d) and finite, d ≥ 1.
    """
    if factors.dtype != np.float32 or factors.ndim != 2 or not factors.shape[1]:
        raise BadFactors(f"{whose} factors must be float32 (n, d), got {factors.dtype} {factors.shape}")
    norms: NDArray[np.float64] = np.sqrt(np.einsum("ij,ij->i", factors, factors, dtype=np.float64))
    bad = ~np.isfinite(norms)  # squares of finite float32 do not overflow float64
    if bad.any():
        raise BadFactors(
            f"{int(bad.sum())} {whose} vectors hold NaN or infinite values, the first in row {int(bad.argmax())}; "
            "train again with a larger train.regularization"
        )
    return np.ascontiguousarray(factors), norms
