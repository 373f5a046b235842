"""The sources of a run, arranged for ranking."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.arrays.mapped import map_arrays, save_arrays
from models.errors import BadFactors
from models.ranking.panels import MOST_DIMENSIONS, Panels, quantise_sources
from models.ranking.rotation import Rotation


class Sources(NamedTuple):
    """Sources by descending norm: factors float32 (n, d), their original rows int32 (n,), their norms float64 (n,).

    ranks int32 (n,): position of an original row, the inverse of rows.
    """

    factors: NDArray[np.float32]
    rows: NDArray[np.int32]
    ranks: NDArray[np.int32]
    norms: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SourceIndex:
    """Everything that is computed from the sources before any user is ranked.

    5 · d + 21 bytes per source when d is a multiple of 4 (340 MB for a million of 64 factors), all in arrays that the
    processes of a machine can share.
    """

    sources: Sources
    panels: Panels
    rotation: Rotation

    def __post_init__(self) -> None:
        for array in self._arrays().values():
            array.setflags(write=False)  # like mapped arrays, so that the loops are compiled once for both

    @classmethod
    def build(cls, source_factors: NDArray[np.float32]) -> "SourceIndex":
        """Returns the index of source factors float32 (n, d), n and d ≥ 1.

        Raises BadFactors on other shapes, more than 16,384 dimensions, NaN and infinite values.
        """
        checked, norms = check_factors(source_factors, "source")
        if not len(checked) or len(checked) >= 2**31:
            raise BadFactors(f"an index holds 1 to 2^31 − 1 sources, got {len(checked)}")
        if checked.shape[1] > MOST_DIMENSIONS:
            raise BadFactors(f"at most {MOST_DIMENSIONS:,} factors can be ranked, got {checked.shape[1]:,}")
        rows = np.argsort(-norms, kind="stable").astype(np.int32)
        ranks = np.empty_like(rows)
        ranks[rows] = np.arange(len(rows), dtype=np.int32)
        sources = Sources(checked[rows], rows, ranks, norms[rows])
        rotation = Rotation.of(checked.shape[1])
        return cls(sources, quantise_sources(sources.factors, sources.norms, rotation), rotation)

    def __len__(self) -> int:
        return len(self.sources.rows)

    @property
    def dimensions(self) -> int:
        """Number of factors of a source."""
        return int(self.sources.factors.shape[1])

    def save(self, path: str | Path) -> None:
        """Writes the arrays into the folder `path`, which is created if it does not exist."""
        save_arrays(path, {_stored(name): array for name, array in self._arrays().items()})

    @classmethod
    def load(cls, path: str | Path) -> "SourceIndex":
        """Returns the index in the folder `path`, memory-mapped: the processes of a machine share one copy."""

        def mapped(kind: type[Sources | Panels | Rotation]) -> Any:
            return kind(*map_arrays(path, map(_stored, kind._fields)))

        return cls(mapped(Sources), mapped(Panels), mapped(Rotation))

    def _arrays(self) -> dict[str, NDArray[np.generic]]:
        return self.sources._asdict() | self.panels._asdict() | self.rotation._asdict()


def _stored(name: str) -> str:
    return f"index_{name}"


def check_factors(factors: NDArray[np.float32], whose: str) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Returns factors (n, d) as a C-contiguous array, and their Euclidean norms float64 (n,).

    Raises BadFactors unless they are finite float32 (n, d) with d ≥ 1.
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
