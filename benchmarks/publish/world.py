"""Makes a snapshot as the weekly job writes it, of any size, with numpy instead of Spark."""

import itertools
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from conf import contract
from conf.settings import PublishSettings
from conf.share import EVERYBODY
from publish.wire.announcement import Announcement, Slice, encode_fallback
from publish.wire.encoding import encode_list
from publish.wire.keys import Layout

SOURCES = 11_000_000
_ROWS_AT_ONCE = 50_000
_Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ListShape:
    """A shape of lists: `size` sources each; `snowflake` ids take nine varint bytes, others three or four."""

    name: str
    size: int
    snowflake: bool

    def source_ids(self, ranks: _Ints) -> _Ints:
        """Returns the ids of sources by their rank of popularity; the order of ids has nothing to do with it."""
        shuffled = (ranks * 7_368_787 + 5) % SOURCES  # coprime with SOURCES: a permutation
        return 2**60 + shuffled * 4_194_301 if self.snowflake else shuffled + 1


TABLES = (ListShape("50 ids", 50, snowflake=False), ListShape("100 snowflake ids", 100, snowflake=True))


@dataclass(frozen=True)
class GeneratedSnapshot:
    """Every row of conf.contract.snapshot, one batch per partition, for a product with these settings."""

    table: ListShape
    settings: PublishSettings
    batches: tuple[pa.RecordBatch, ...]

    @property
    def users(self) -> int:
        """Number of rows."""
        return sum(batch.num_rows for batch in self.batches)

    def layout(self, product: str) -> Layout:
        """Returns the layout of the product's lists in Redis."""
        return Layout.plan(product, self.settings.partitions, self.users, self.settings.users_per_bucket)


def make_snapshot(table: ListShape, users: int, settings: PublishSettings, seed: int = 1) -> GeneratedSnapshot:
    """Draws `users` lists without scores; popular sources come more often, as in recommendations."""
    rng = np.random.default_rng(seed)
    ids = np.sort(rng.permutation(4 * users)[:users] + 1)
    layout = Layout.plan("benchmark", settings.partitions, users, settings.users_per_bucket)
    crcs = np.fromiter((zlib.crc32(b"%d" % user) for user in ids.tolist()), np.int64, users)
    partition, bucket = crcs % layout.partitions, crcs // layout.partitions % layout.buckets
    order = np.lexsort((ids, bucket, partition))
    edges = np.searchsorted(partition[order], np.arange(layout.partitions + 1))
    parts = [order[start:end] for start, end in itertools.pairwise(edges.tolist())]
    return GeneratedSnapshot(
        table, settings, tuple(_batch(table, number, ids[part], rng) for number, part in enumerate(parts))
    )


def mean_value_bytes(snapshot: GeneratedSnapshot, slices: Sequence[Slice]) -> float:
    """Returns the mean bytes of a packed list, without its key."""
    keys = sum(len(str(user)) for batch in snapshot.batches for user in batch.column("user_id").to_pylist())
    return (sum(piece.bytes for piece in slices) - keys) / snapshot.users


def announcement_of(
    snapshot: GeneratedSnapshot, layout: Layout, slices: Sequence[Slice], run: str, epoch: int
) -> Announcement:
    """Returns the announcement of a scheduled run for all users, which may serve at once."""
    now, fallback = datetime.now(UTC), snapshot.table.source_ids(np.arange(2 * snapshot.table.size))
    return Announcement(
        run=run,
        epoch=epoch,
        product=layout.product,
        as_of=now.date(),
        partitions=layout.partitions,
        buckets=layout.buckets,
        tags=layout.tags,
        ids="int64",
        list_size=snapshot.table.size,
        salt="benchmark",
        share_bp=EVERYBODY,
        slices=tuple(slices),
        fallback=encode_fallback(encode_list(pa.array(fallback), None, "int64")),
        first=epoch == 1,
        scheduled=True,
        gates_passed=True,
        max_change_of_users=0.5,
        config_hash="benchmark",
        created_at=now,
        load_deadline_seconds=3_600,
        stall_seconds=600,
    )


def _batch(table: ListShape, partition: int, users: _Ints, rng: np.random.Generator) -> pa.RecordBatch:
    rows, schema = len(users), contract.snapshot("int64")
    pieces = [_lists(table, min(_ROWS_AT_ONCE, rows - at), rng) for at in range(0, rows, _ROWS_AT_ONCE)]
    ids = np.concatenate([*pieces, np.empty(0, np.int64)])
    columns: dict[str, Any] = {
        "partition": np.full(rows, partition, np.int32),
        "seq": np.arange(rows),
        "user_id": users,
        "source_ids": pa.ListArray.from_arrays(_edges(rows, table.size), pa.array(ids)),
        "scores": pa.ListArray.from_arrays(_edges(rows, 0), pa.array([], pa.float32())),
    }
    return pa.record_batch([pa.array(column) for column in columns.values()], schema=schema)


def _edges(rows: int, size: int) -> Any:
    return pa.array(np.arange(rows + 1, dtype=np.int32) * size)


def _lists(table: ListShape, rows: int, rng: np.random.Generator) -> _Ints:
    """Returns `rows` lists of distinct sources, one after the other."""
    ranks = _draw(rng, (rows, table.size))
    while True:
        order = np.argsort(ranks, axis=1, kind="stable")
        ordered = np.take_along_axis(ranks, order, axis=1)
        row, column = np.nonzero(ordered[:, 1:] == ordered[:, :-1])
        if not row.size:
            return table.source_ids(ranks).reshape(-1)
        ranks[row, order[row, column + 1]] = _draw(rng, row.size)


def _draw(rng: np.random.Generator, shape: int | tuple[int, int]) -> _Ints:
    return (SOURCES * rng.random(shape) ** 3).astype(np.int64)  # half of all draws fall on an eighth of the sources
