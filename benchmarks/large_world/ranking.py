"""Ranks pieces of users in processes of their own, by the code that Spark's workers run."""

import os
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, wait
from multiprocessing import get_context, parent_process
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.large_world.pieces import Record
from benchmarks.large_world.world import LargeWorld
from benchmarks.peak_bytes import peak_bytes
from models.arrays.arrow import column_of, lengths_of, numpy_of
from models.lists.candidates import Candidates
from models.lists.fallback import Fallback
from models.lists.topn import ListMaker
from publish.wire.keys import Layout

_NOBODYS = Fallback(pa.array([], pa.int64()), np.zeros(0, np.float32))
"""Every user here has factors."""


class Place(NamedTuple):
    """Partition and bucket of each user."""

    partition: NDArray[np.int64]
    bucket: NDArray[np.int64]


def build_candidates(world: LargeWorld) -> Record:
    """Makes the candidates as the driver does before the ranking. Returns its seconds, peak memory and their size."""
    start = time.process_time()
    factors = ds.dataset(world.home / "source_factors.parquet")
    Candidates.build(factors, world.sources_table(), "int64").save(world.candidates)
    seconds, files = time.process_time() - start, list(world.candidates.iterdir())
    return {"cpu_s": seconds, "peak_bytes": peak_bytes(), "bytes": sum(file.stat().st_size for file in files)}


def rank_pieces(world: LargeWorld, processes: int, minutes: float) -> None:
    """Ranks the pieces that are not done, until the minutes are over; a piece that was begun is finished."""
    deadline, running, missing = time.monotonic() + 60 * minutes, set[Future[None]](), world.lists.missing()
    with pool_of(processes) as pool:
        while missing and time.monotonic() < deadline:
            running.add(pool.submit(rank_piece, world, missing.pop(0)))
            if len(running) >= processes:
                done, running = wait(running, return_when="FIRST_COMPLETED")
                for piece in done:
                    piece.result()
        for piece in running:
            piece.result()


def rank_piece(world: LargeWorld, piece: int) -> None:
    """Ranks the users of a piece, and keeps their lists with what that took."""
    users = world.users(piece)
    maker = ListMaker(
        world.candidates.__str__, _NOBODYS, world.settings.lists, world.settings.spark.user_block, "int64"
    )
    wall, cpu = time.perf_counter(), time.process_time()
    made = pa.Table.from_batches(list(maker(_batches(users, world.settings.spark.user_block))))
    seconds = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    excluded = int(lengths_of(users.column("excluded")).sum())
    keep_lists(world, piece, made, {"ranked": True, "excluded": excluded, "peak_bytes": peak_bytes(), **seconds})


def resample_piece(world: LargeWorld, piece: int, ranked: list[int]) -> None:
    """Gives the users of a piece that was not ranked lists of users who were, in another order."""
    random = np.random.default_rng([world.size.seed, piece, 1])
    users = column_of(world.user_ids(piece))
    others = pq.read_table(world.lists.content(ranked[piece % len(ranked)]))
    lists = others.take(column_of(random.integers(len(others), size=len(users)))).combine_chunks()
    made = lists.set_column(0, "user_id", users)
    keep_lists(world, piece, made, {"ranked": False})


def resample_missing(world: LargeWorld, processes: int) -> None:
    """Resamples every piece that is not done from those that were ranked."""
    ranked = [piece for piece in range(world.lists.count) if (world.lists.record(piece) or {}).get("ranked")]
    in_processes(resample_piece, [(world, piece, ranked) for piece in world.lists.missing()], processes)


def in_processes(work: Any, arguments: list[tuple[Any, ...]], processes: int) -> list[Any]:
    """Calls `work` with each tuple of arguments in fresh processes. Returns the results in order."""
    if not arguments:
        return []
    with pool_of(processes) as pool:
        return list(pool.map(work, *zip(*arguments, strict=True)))


def pool_of(processes: int) -> ProcessPoolExecutor:
    """Returns a pool of fresh processes that end when this one is killed."""
    return ProcessPoolExecutor(processes, get_context("spawn"), _end_with_parent)


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None, "this is called in a child"

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def keep_lists(world: LargeWorld, piece: int, lists: pa.Table, record: Record) -> None:
    """Writes the lists of a piece in the order of the snapshot, a row group for each partition."""
    ids = numpy_of(lists["user_id"])
    place = places(ids, world.layout)
    order = np.lexsort((ids, place.bucket, place.partition))
    edges = np.searchsorted(place.partition[order], np.arange(world.size.partitions + 1))
    ordered = lists.select(["user_id", "source_ids", "scores"]).take(column_of(order)).combine_chunks()
    with world.lists.writing(piece) as draft, pq.ParquetWriter(draft, ordered.schema) as file:
        for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            file.write_table(ordered.slice(start, end - start), row_group_size=max(1, end - start))
    world.lists.finish(piece, {"users": len(ids), "pid": os.getpid(), **record})


def places(ids: NDArray[np.int64], layout: Layout) -> Place:
    """Returns partition and bucket of each user."""
    crcs = np.fromiter((zlib.crc32(b"%d" % user) for user in ids.tolist()), np.int64, len(ids))
    return Place(crcs % layout.partitions, crcs // layout.partitions % layout.buckets)


def _batches(users: pa.RecordBatch, rows: int) -> Iterator[pa.RecordBatch]:
    return (users.slice(start, rows) for start in range(0, users.num_rows, rows))
