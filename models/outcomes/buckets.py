"""Brings all rows of a user together: one shuffle, of packed columns instead of rows.

Spark shuffles and sorts row by row; here a worker cuts its columns into one Arrow table per bucket of users, and a row
of the shuffle is such a table. A bucket is then worked on as a whole, by numpy, in memory that the bucket bounds: the
more rows there are, the more buckets.
"""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as sf
from pyspark.sql.pandas.types import to_arrow_schema

from features.tables import spark_schema, union_of

Work = Callable[[Mapping[str, pa.Table]], pa.Table]
"""From all rows of a bucket, by the name of their frame, to its result."""
_EVENTS_OF_BUCKET, _EVENTS_OF_ANSWER = 1_000_000, 10
"""How many events a bucket holds, and how many an answer is as large as; some 300 MB while it is worked on."""
_ROWS = 400_000
"""Rows that are cut at once: a table of the shuffle has this many, divided by the buckets."""
_COLUMNS: list[tuple[str, pa.DataType]] = [("frame", pa.string()), ("bucket", pa.int32()), ("packed", pa.binary())]
_PACKED = pa.schema(_COLUMNS)


def buckets_for(events: int, answers: int) -> int:
    """Returns into how many buckets so many rows are divided, so that each has about as many; 8 at the least."""
    return max(8, -(-(events + _EVENTS_OF_ANSWER * answers) // _EVENTS_OF_BUCKET))


def by_bucket(frames: Mapping[str, DataFrame], buckets: int, work: Work, result: pa.Schema) -> DataFrame:
    """Returns the results of `work` for each bucket of users in which there is a row of any of the frames."""
    schemas = {name: to_arrow_schema(frame.schema) for name, frame in frames.items()}

    def finish(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        parts = {name: [schema.empty_table()] for name, schema in schemas.items()}
        for batch in batches:
            for name, part in zip(batch["frame"], batch["packed"], strict=True):
                parts[str(name)].append(pa.ipc.open_stream(part.as_buffer()).read_all())
        if any(len(some) > 1 for some in parts.values()):
            yield from work({name: pa.concat_tables(some) for name, some in parts.items()}).cast(result).to_batches()

    packed = union_of([_packed(name, frame, buckets) for name, frame in frames.items()])
    return packed.repartitionById(buckets, "bucket").mapInArrow(finish, spark_schema(result))


def _packed(name: str, frame: DataFrame, buckets: int) -> DataFrame:
    bucket = sf.pmod(sf.xxhash64("user_id"), sf.lit(buckets)).cast("int").alias("bucket")
    small = np.min_scalar_type(buckets)  # numpy sorts small integers in one go

    def pack(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for table in _tables(batches):
            place = table["bucket"].to_numpy()
            order = np.argsort(place.astype(small), kind="stable")
            rows, ends = table.drop_columns("bucket").take(order), np.cumsum(np.bincount(place))
            cut = [(i, rows[start:end]) for i, (start, end) in enumerate(zip([0, *ends], ends, strict=False))]
            filled = [(name, i, _bytes_of(part)) for i, part in cut if part.num_rows]
            columns = zip(zip(*filled, strict=True), _COLUMNS, strict=True)
            yield pa.record_batch([pa.array(column, kind) for column, (_, kind) in columns], schema=_PACKED)

    return frame.select("*", bucket).mapInArrow(pack, spark_schema(_PACKED))


def _tables(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yields batches put together to about `_ROWS` rows."""
    some, rows = list[pa.RecordBatch](), 0
    for batch in batches:
        some.append(batch)
        rows += batch.num_rows
        if rows >= _ROWS:
            yield pa.Table.from_batches(some).combine_chunks()
            some, rows = [], 0
    if rows:
        yield pa.Table.from_batches(some).combine_chunks()


def _bytes_of(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())
