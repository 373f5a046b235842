"""The sources that a run may recommend, as arrays that the workers of a machine share."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numpy.typing import NDArray

from conf.ids import IdKind
from models.arrays.arrow import Chunks, column_of, numpy_of
from models.arrays.factors import dimensions_of, gather_factors
from models.arrays.ids import IdMap
from models.arrays.mapped import map_arrays, save_arrays
from models.errors import NoCandidates
from models.ranking import SourceIndex


@dataclass(frozen=True, eq=False)
class Candidates:
    """Eligible sources with factors; a source is its row in `ids` and in `index`.

    categories and owners: int32 codes (sources,), −1 where unknown. Sources that are not eligible or have no
    interactions (and so no factors) are not in here, so that no list can hold them.
    """

    ids: IdMap
    index: SourceIndex
    categories: NDArray[np.int32]
    owners: NDArray[np.int32]

    @classmethod
    def build(cls, source_factors: ds.Dataset, sources: pa.Table, ids: IdKind) -> "Candidates":
        """Returns the candidates from contract.source_factors and contract.sources, both in any order.

        The factors are read as a stream: what is held are the result, and once more its factors until it is sorted.

        Raises NoCandidates when no eligible source has factors, BadFactors when their lengths differ.
        """
        eligible = sources.filter(pc.field("eligible"))
        trained = IdMap.of(source_factors.to_table(["source_id"])["source_id"], ids)
        with_factors = trained.rows(eligible["source_id"]) >= 0
        chosen = eligible.filter(column_of(with_factors)).sort_by("source_id")
        if not chosen.num_rows:
            raise NoCandidates(
                f"none of {eligible.num_rows} eligible of {sources.num_rows} sources has interactions; check the "
                "statuses and creation times in the sources dataset, and that its ids are those of the events"
            )
        own = IdMap.of(chosen["source_id"], ids)
        factors, _, _ = gather_factors(source_factors, "source_id", own, dimensions_of(source_factors))
        return cls(own, SourceIndex.build(factors), _codes(chosen["category"]), _codes(chosen["owner_id"]))

    def __len__(self) -> int:
        return len(self.ids)

    def save(self, folder: str | Path) -> None:
        """Writes the arrays as .npy files into `folder`, which is created if it does not exist."""
        self.index.save(folder)
        save_arrays(folder, {"ids": self.ids.values, "categories": self.categories, "owners": self.owners})

    @classmethod
    def load(cls, folder: str | Path) -> "Candidates":
        """Returns the candidates in `folder`, memory-mapped read-only."""
        ids, categories, owners = map_arrays(folder, ("ids", "categories", "owners"))
        return cls(IdMap(ids), SourceIndex.load(folder), categories, owners)


def _codes(column: Chunks) -> NDArray[np.int32]:
    codes = column.combine_chunks().dictionary_encode().indices.fill_null(-1)
    return numpy_of(codes).astype(np.int32)
