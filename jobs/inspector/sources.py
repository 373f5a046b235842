"""The sources of a run as arrays: factors that are mapped from a file, and what the rules know of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from conf.ids import IdKind, UserId
from jobs.inspector.cached import placed
from jobs.storage.store import Storage
from models.arrays.arrow import Chunks, Column, factor_matrix, numpy_of
from models.arrays.factors import dimensions_of
from models.arrays.ids import IdMap, id_keys, id_type
from models.arrays.mapped import map_arrays, save_arrays
from models.arrays.streamed import streamed
from models.explain.absent import Traits

_ROWS = 2**14
_NAMES = ("ids", "factors", "norms")


@dataclass(frozen=True, eq=False)
class RunSources:
    """The sources with factors, in the order of their ids; a source is its row."""

    ids: IdMap
    factors: NDArray[np.float32]
    longest: float
    """The largest norm of a source."""
    table: pa.Table
    """contract.sources of all sources, trained or not, with categories and owners as dictionaries."""
    at: NDArray[np.int32]
    """Row of each source in `table`; −1: it is not there."""

    @property
    def kind(self) -> IdKind:
        """The kind of the ids."""
        return self.ids.kind

    @cached_property
    def traits(self) -> Traits:
        """What rules need of each source."""
        eligible = numpy_of(self.table["eligible"])
        return Traits(
            (self.at >= 0) & eligible[self.at] if len(eligible) else np.zeros(len(self.ids), bool),
            self._codes("category"),
            self._codes("owner_id"),
        )

    @cached_property
    def users(self) -> NDArray[np.int64]:
        """Users with an interaction, of each source, in the run's own interactions."""
        users = numpy_of(self.table["users"]).astype(np.int64)
        return np.where(self.at >= 0, users[self.at], 0) if len(users) else np.zeros(len(self.ids), np.int64)

    def rows(self, ids: Column | Chunks) -> NDArray[np.int64]:
        """Returns the row of each source; −1: it has no factors."""
        return self.ids.rows(ids).astype(np.int64)

    def row(self, source: UserId) -> int:
        """Returns the row of a source; −1: it has no factors."""
        return int(self.rows(pa.array([source], id_type(self.kind)))[0])

    def names(self, rows: NDArray[np.int64]) -> list[UserId]:
        """Returns the ids of these rows."""
        named: Any = self.ids.to_arrow(rows.astype(np.int32)).to_pylist()
        return list(named)

    def known(self, source: UserId) -> dict[str, Any] | None:
        """Returns the row of contract.sources of any source; None: the run does not know it."""
        at = self._places.rows(pa.array([source], id_type(self.kind)))[0]
        return None if at < 0 else dict(self.table.slice(int(at), 1).to_pylist()[0])

    def categories(self, sources: Sequence[UserId]) -> dict[UserId, str]:
        """Returns the category of each of these sources that has one."""
        at = self._places.rows(pa.array(sources, id_type(self.kind)))
        known = [(source, int(row)) for source, row in zip(sources, at, strict=True) if row >= 0]
        column: Any = self.table["category"].combine_chunks()
        named = column.take(pa.array([row for _, row in known], pa.int64())).to_pylist()
        return {source: category for (source, _), category in zip(known, named, strict=True) if category is not None}

    @cached_property
    def _places(self) -> IdMap:
        return IdMap.of(self.table["source_id"], self.kind)

    def _codes(self, name: str) -> NDArray[np.int32]:
        column: Any = self.table[name].combine_chunks()  # a dictionary
        codes = numpy_of(column.indices.fill_null(-1)).astype(np.int32)
        if not len(codes):
            return np.full(len(self.ids), -1, np.int32)
        return np.where(self.at >= 0, codes[self.at], np.int32(-1)).astype(np.int32)


def read_sources(folder: Storage, kind: IdKind, cache: Path) -> RunSources:
    """Returns the sources of a run; factors are kept as arrays in the local folder `cache`, from the first time on."""
    if not cache.exists():
        _save(folder, kind, cache)
    ids, factors, norms = map_arrays(cache, _NAMES)
    columns = ["source_id", "eligible", "category", "owner_id", "users"]
    table = folder.table("sources").to_table(columns=columns).sort_by("source_id")
    for name in ("category", "owner_id"):
        at = table.column_names.index(name)
        table = table.set_column(at, name, table[name].combine_chunks().dictionary_encode())
    known = IdMap(ids)
    at_rows = IdMap.of(table["source_id"], kind).rows(known.to_arrow()) if len(table) else np.full(len(ids), -1)
    return RunSources(known, factors, float(norms[0]), table, at_rows.astype(np.int32))


def counts_in(folder: Storage, table: str, column: str | None, sources: RunSources) -> NDArray[np.int64]:
    """Returns the interactions of each source: Σ of a column by source_id, or the rows without one."""
    counts = np.zeros(len(sources.ids), np.int64)
    columns = ["source_id", *(() if column is None else (column,))]
    for _, batch in streamed(folder.table(table), columns, 2**17):
        rows = sources.ids.rows(batch["source_id"])
        weights = None if column is None else numpy_of(batch[column])[rows >= 0]
        counts += np.bincount(rows[rows >= 0], weights, len(counts)).astype(np.int64)
    return counts


def _save(folder: Storage, kind: IdKind, cache: Path) -> None:
    table = folder.table("source_factors")
    d, n = dimensions_of(table), table.count_rows()
    with placed(cache) as part:
        factors = np.lib.format.open_memmap(part / "factors.npy", "w+", np.float32, (n, d))
        ids, norm, at = list[Column](), 0.0, 0
        for _, batch in streamed(table, ["source_id", "factors"], _ROWS):
            block = factor_matrix(batch["factors"], d)
            factors[at : at + len(block)] = block
            norm = max(norm, float(np.sqrt(np.einsum("ij,ij->i", block, block, dtype=np.float64).max())))
            ids.append(batch["source_id"])
            at += len(block)
        factors.flush()
        del factors
        every: Any = pa.chunked_array(ids, id_type(kind))  # type: ignore[call-overload]
        keys = id_keys(every, kind)
        save_arrays(part, {"ids": IdMap(keys).values, "norms": np.array([norm])})  # raises unless they ascend
