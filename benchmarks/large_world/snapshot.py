"""Lists → snapshot, a Kafka partition at a time; in the job this is one shuffle of Spark's."""

import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.large_world.pieces import Record
from benchmarks.large_world.ranking import in_processes, places
from benchmarks.large_world.world import LargeWorld
from benchmarks.peak_bytes import peak_bytes
from conf import contract
from models.arrays.arrow import column_of, numpy_of
from publish.send.snapshot import measure_partition

ROWS = 10_000
"""Rows in a batch."""


def write_snapshot(world: LargeWorld, processes: int) -> None:
    """Writes and measures every partition of the snapshot that is not done."""
    in_processes(write_partition, [(world, partition) for partition in world.snapshot.missing()], processes)


def write_partition(world: LargeWorld, partition: int) -> None:
    """Collects the users of a partition from all pieces, sorts and numbers them, and measures their slice."""
    start = time.process_time()
    rows = _ordered(world, partition)
    with world.snapshot.writing(partition) as draft:
        pq.write_table(rows, draft, row_group_size=ROWS)
    written = time.process_time()
    piece = measure_partition(rows.to_batches(ROWS), partition, world.layout, "int64")
    record: Record = {"slice": piece.model_dump(), "peak_bytes": peak_bytes()}
    record |= {"write_cpu_s": written - start, "measure_cpu_s": time.process_time() - written}
    world.snapshot.finish(partition, record)


def _ordered(world: LargeWorld, partition: int) -> pa.Table:
    parts = [pq.ParquetFile(world.lists.content(piece)).read_row_group(partition) for piece in range(world.lists.count)]
    rows = pa.concat_tables(parts).combine_chunks()
    ids = numpy_of(rows["user_id"])
    rows = rows.take(column_of(np.lexsort((ids, places(ids, world.layout).bucket))))
    numbers = [pa.array(np.full(len(ids), partition, np.int32)), pa.array(np.arange(len(ids)))]
    columns = [rows[name] for name in ("user_id", "source_ids", "scores")]
    return pa.table([*numbers, *columns], names=contract.snapshot("int64").names).cast(contract.snapshot("int64"))
