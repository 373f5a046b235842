"""The world: sources and users drawn from real factors, any piece of users by itself and always the same."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.large_world.errors import LargeWorldError
from benchmarks.large_world.pieces import Pieces, read_json, write_json
from benchmarks.ranking.factors import FactorSet, resembling
from conf import contract
from conf.settings import Settings
from models.arrays.arrow import column_of, list_column
from models.arrays.mapped import map_arrays, save_arrays
from publish.wire.keys import Layout

PRODUCT = "large_world"
_SOURCE_GAP, _USER_GAP = 11, 4  # ids of eight digits at 10 M users × 1 M sources
_BASE = ("users", "indptr", "indices", "copies", "starts")
_Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Size:
    """Users, sources, users per piece, sources per list, Kafka partitions, and the seed of everything drawn."""

    users: int
    sources: int
    piece: int
    n: int
    partitions: int
    seed: int = 1


@dataclass(frozen=True)
class LargeWorld:
    """The world in a folder; `settings` are those of the product, with this world's n and partitions."""

    home: Path
    size: Size
    settings: Settings

    @classmethod
    def open(cls, home: Path, size: Size, settings: Settings, product: str = PRODUCT) -> "LargeWorld":
        """Returns the world in `home`, published as `product`. Raises LargeWorldError if another one is there."""
        known = read_json(home / "world.json")
        if known is not None and known != asdict(size):
            raise LargeWorldError(f"{home} holds a world of {known}, not {asdict(size)}: choose another --home")
        write_json(home / "world.json", asdict(size))
        lists = settings.lists.model_copy(update={"n": size.n})
        publish = settings.publish.model_copy(update={"partitions": size.partitions})
        return cls(home, size, settings.model_copy(update={"product": product, "lists": lists, "publish": publish}))

    @property
    def lists(self) -> Pieces:
        """The lists, a piece for each slice of the users; a row group per Kafka partition, in the snapshot's order."""
        return Pieces(self.home / "lists", -(-self.size.users // self.size.piece))

    @property
    def snapshot(self) -> Pieces:
        """The snapshot, a piece for each Kafka partition."""
        return Pieces(self.home / "snapshot", self.size.partitions)

    @property
    def sent(self) -> Pieces:
        """What the broker has acknowledged, a piece for each Kafka partition."""
        return Pieces(self.home / "sent", self.size.partitions)

    @property
    def candidates(self) -> Path:
        """The folder of `models.lists.candidates.Candidates.save`."""
        return self.home / "candidates"

    @property
    def layout(self) -> Layout:
        """The layout of its lists in Redis."""
        product, publish = self.settings.product, self.settings.publish
        return Layout.plan(product, publish.partitions, self.size.users, publish.users_per_bucket)

    def write_sources(self, base: FactorSet) -> None:
        """Draws the sources and writes them as contract.source_factors, with what pieces of users are drawn from."""
        random = np.random.default_rng(self.size.seed)
        drawn = random.integers(len(base.sources), size=self.size.sources)
        ids = np.arange(len(drawn)) * _SOURCE_GAP + random.integers(1, _SOURCE_GAP + 1, size=len(drawn))
        factors = resembling(base.sources[drawn], random)
        write_factors(self.home / "source_factors.parquet", ids, factors)
        copies, starts = np.argsort(drawn, kind="stable"), np.searchsorted(np.sort(drawn), range(len(base.sources) + 1))
        arrays = (base.users, base.exclusions.indptr, base.exclusions.indices, ids[copies], starts)
        save_arrays(self.home / "base", dict(zip(_BASE, arrays, strict=True)))

    def sources_table(self) -> pa.Table:
        """Returns contract.sources: every source is eligible; none has a category or an owner."""
        ids = pq.read_table(self.home / "source_factors.parquet", columns=["source_id"])["source_id"]
        count, schema = len(ids), contract.sources("int64")
        ones, nothing = np.ones(count), [pa.nulls(count, schema.field(name).type) for name in ("category", "owner_id")]
        columns = [ids, pa.array(np.ones(count, bool)), *nothing, pa.array(ones.astype(np.int64)), pa.array(ones)]
        return pa.table(columns, schema=schema)

    def users(self, piece: int) -> pa.RecordBatch:
        """Returns the users of a piece as the workers of the ranking get them: user_id, factors, excluded.

        Each resembles a real user. Excluded are sources that resemble those that the real one knows.
        """
        ids, drawn, random = self._drawn(piece)
        users, indptr, indices, copies, starts = map_arrays(self.home / "base", _BASE)
        count = len(ids)
        factors = resembling(np.asarray(users[drawn]), random)
        known = np.diff(indptr)[drawn].astype(np.int64)
        at = np.repeat(indptr[drawn] - np.cumsum(known) + known, known) + np.arange(known.sum())
        real = np.asarray(indices[at])
        chance, there = starts[real + 1] - starts[real], starts[real + 1] > starts[real]
        chosen = copies[(starts[real] + (random.random(len(real)) * chance).astype(np.int64))[there]]
        lengths = np.bincount(np.repeat(np.arange(count), known)[there], minlength=count)
        columns: list[Any] = [column_of(ids), _factor_lists(factors), list_column(lengths, column_of(chosen))]
        return pa.RecordBatch.from_arrays(columns, names=["user_id", "factors", "excluded"])

    def user_ids(self, piece: int) -> _Ints:
        """Returns the ids of the users of a piece, without the rest."""
        return self._drawn(piece)[0]

    def _drawn(self, piece: int) -> tuple[_Ints, _Ints, np.random.Generator]:
        """Returns the ids of a piece, the rows of the real users, and the generator that draws the rest."""
        numbers = np.arange(piece * self.size.piece, min((piece + 1) * self.size.piece, self.size.users))
        (users,), random = map_arrays(self.home / "base", ["users"]), np.random.default_rng([self.size.seed, piece])
        drawn = random.integers(len(users), size=len(numbers))
        return numbers * _USER_GAP + random.integers(1, _USER_GAP + 1, size=len(numbers)), drawn, random


def write_factors(path: Path, ids: _Ints, factors: NDArray[np.float32]) -> None:
    """Writes contract.source_factors as Parquet."""
    table = pa.table([column_of(ids), _factor_lists(factors)], schema=contract.source_factors("int64"))
    pq.write_table(table, path, row_group_size=50_000)


def _factor_lists(factors: NDArray[np.float32]) -> Any:
    return list_column(np.full(len(factors), factors.shape[1]), column_of(factors.reshape(-1)))
