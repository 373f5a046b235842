"""What the judged training knew of the sources, as arrays that the workers of a machine share."""

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from conf.ids import IdKind
from conf.settings import JudgeSettings
from conf.windows import midnight
from models.arrays.arrow import Column, ListColumn, lengths_of, numpy_of
from models.arrays.ids import IdMap
from models.arrays.mapped import map_arrays, save_arrays
from models.errors import LeakedSource


@dataclass(frozen=True, eq=False)
class KnownSources:
    """Sources with interactions before the cut; a source is its row in `ids`.

    information: float64 (sources,) bits −log2(its users / all users) (Vargas, Castells 2011); new: bool (sources,).
    """

    ids: IdMap
    information: NDArray[np.float64]
    new: NDArray[np.bool_]

    @classmethod
    def build(cls, sources: pa.Table, users: int, new_from: dt.date, ids: IdKind) -> "KnownSources":
        """Makes them from contract.train_sources, in any order, with `users` users in the interactions.

        New are sources first seen since midnight UTC of `new_from`. If that is true of all, the windows are too short
        to tell, and none is new.
        """
        known = sources.filter(pc.field("users") > 0).sort_by("source_id")
        share = np.minimum(numpy_of(known["users"]) / max(users, 1), 1.0)
        begin = pa.scalar(midnight(new_from), known.schema.field("since").type)
        new = numpy_of(pc.greater_equal(known["since"], begin).fill_null(fill_value=False))
        return cls(IdMap.of(known["source_id"], ids), np.abs(np.log2(share)), new if not new.all() else ~new)

    def save(self, folder: str | Path) -> None:
        """Writes the arrays as .npy files into `folder`, which is created if it does not exist."""
        save_arrays(folder, {"ids": self.ids.values, "information": self.information, "new": self.new})

    @classmethod
    def load(cls, folder: str | Path) -> "KnownSources":
        """Returns the sources in `folder`, memory-mapped read-only."""
        ids, information, new = map_arrays(folder, ("ids", "information", "new"))
        return cls(IdMap(ids), information, new)

    def rows(self, lists: ListColumn, arm: str) -> NDArray[np.int32]:
        """Returns the row of each listed source, list after list. Raises LeakedSource for an unknown one."""
        listed = lists.flatten()
        rows = self.ids.rows(listed)
        if len(rows) and rows.min() < 0:
            unknown = listed[int(rows.argmin())].as_py()
            raise LeakedSource(
                f"a judged list of {arm} holds source {unknown!r}, with which nobody engaged before the cut: held-out "
                "days reached its training; check what made these lists"
            )
        return rows

    def novelty(self, rows: NDArray[np.int32], lengths: NDArray[np.int64]) -> Column:
        """Returns the mean information of lists with these lengths, float64, null for an empty list."""
        bits = np.bincount(np.repeat(np.arange(len(lengths)), lengths), self.information[rows], len(lengths))
        means: Column = pa.array(bits / np.maximum(lengths, 1), mask=lengths == 0)
        return means

    def count_new(self, truths: ListColumn) -> NDArray[np.int64]:
        """Returns how many sources of each truth were new at the cut."""
        rows = self.ids.rows(truths.flatten())
        users = np.repeat(np.arange(len(truths)), lengths_of(truths))
        return np.bincount(users[(rows >= 0) & np.append(self.new, False)[rows]], minlength=len(truths))


def new_from(cut: dt.date, settings: JudgeSettings) -> dt.date:
    """Returns the first day of sources that count as new at the cut."""
    return cut - dt.timedelta(days=settings.new_source_days)


@lru_cache(maxsize=1)
def load_known(folder: str) -> KnownSources:
    """Returns the sources in `folder`, loaded once per worker process."""
    return KnownSources.load(folder)
