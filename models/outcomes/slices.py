"""Weekly rows of users → exact sums per slice of the hash: one shuffle by user, memory for a few thousand users."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from features.hash_columns import arm_column
from features.tables import spark_schema
from models.arrays.arrow import numpy_of
from models.experiment.cells import SliceCells, UserRows, cells_of
from models.experiment.exact import Exact
from models.experiment.moments import Slice

_BITS = 48
"""A sum travels as two int64, so that Spark can add up the parts of any number of partitions up to 2^15."""
_COLUMNS: list[tuple[str, pa.DataType]] = [
    ("slice", pa.int32()),
    ("name", pa.string()),
    ("place", pa.int32()),
    ("high", pa.int64()),
    ("low", pa.int64()),
]
_PARTS = pa.schema(_COLUMNS)


def slice_cells(rows: DataFrame, salt: str, slices: Sequence[Slice], weeks: int) -> list[SliceCells]:
    """Returns the sums of each slice over rows (`models.outcomes.weekly`) of weeks 0 … `weeks`."""
    placed = rows.withColumn("slice", _slice_of(arm_column(sf.col("user_id"), salt), slices))
    sorted_rows = placed.repartition("user_id").sortWithinPartitions("user_id")
    parts = sorted_rows.select("user_id", "slice", "week", "metric", "x").mapInArrow(
        PartialCells(weeks), spark_schema(_PARTS)
    )
    keys, halves = ("slice", "name", "place"), ("high", "low")
    summed = parts.groupBy(*keys).agg(*(sf.sum(half).alias(half) for half in halves)).toArrow()
    found = [SliceCells(weeks) for _ in slices]
    for at, name, place, high, low in zip(*(summed[key].to_pylist() for key in (*keys, *halves)), strict=True):
        found[at].matrix(name).ravel()[place] = (high << _BITS) + low
    return found


@dataclass(frozen=True)
class PartialCells:
    """Maps rows sorted by user to the sums of their partition."""

    weeks: int
    rows: int = 2**16
    """Rows that are summed at once."""

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        sums: dict[tuple[int, str], Exact] = {}
        for table in whole_users(batches, self.rows):
            for place, rows in self._by_slice(table):
                for name, cells in cells_of(rows):
                    sums[place, name] = sums[place, name] + cells if (place, name) in sums else cells
        for (place, name), cells in sums.items():
            yield _as_batch(place, name, cells)

    def _by_slice(self, table: pa.Table) -> Iterator[tuple[int, UserRows]]:
        slices, metrics = numpy_of(table["slice"]), table["metric"].combine_chunks().dictionary_encode()
        starts = _starts(table)
        user = np.cumsum(starts) - 1
        columns = [numpy_of(table[name]) for name in ("week", "x")]
        codes, names = numpy_of(metrics.indices), list(map(str, metrics.dictionary.to_pylist()))
        for place in np.unique(slices):
            chosen = slices == place
            users, at = np.unique(user[chosen], return_inverse=True)
            week, x = (column[chosen] for column in columns)
            yield int(place), UserRows(len(users), at, week, codes[chosen], x, names, self.weeks)


def whole_users(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.Table]:
    """Yields rows in order, about so many at once, such that all of a user are in one table."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(len(one) for one in held) < rows:
            continue
        table = pa.Table.from_batches(held)
        end = int(np.flatnonzero(_starts(table))[-1])
        if end:
            yield table.slice(0, end)
        held = table.slice(end).to_batches()
    if held:
        yield pa.Table.from_batches(held)


def _starts(table: pa.Table) -> NDArray[np.bool_]:
    """Returns which rows are the first of their user."""
    users = table["user_id"].combine_chunks()
    changes = numpy_of(pc.not_equal(users[1:], users[:-1]))
    return np.concatenate([np.ones(min(len(users), 1), np.bool_), changes.astype(np.bool_)])


def _slice_of(arm: Column, slices: Sequence[Slice]) -> Column:
    """Returns the place of a user's slice."""
    of = [sf.when((arm >= one.low_bp) & (arm < one.high_bp), place) for place, one in enumerate(slices)]
    return sf.coalesce(*of).cast("int")


def _as_batch(place: int, name: str, cells: Exact) -> pa.RecordBatch:
    values = [int(value) for value in cells.ravel()]
    some = [i for i, value in enumerate(values) if value] or [0]  # a sum of zeros is there, too
    columns: dict[str, list[Any]] = {
        "slice": [place] * len(some),
        "name": [name] * len(some),
        "place": some,
        "high": [values[i] >> _BITS for i in some],
        "low": [values[i] & (2**_BITS - 1) for i in some],
    }
    return pa.RecordBatch.from_pydict(columns, schema=_PARTS)
