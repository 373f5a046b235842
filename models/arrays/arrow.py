"""numpy ↔ Arrow columns; converts whole columns, never value by value through Python objects."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.errors import BadFactors

if TYPE_CHECKING:  # the classes are generic for type checkers only
    Column = pa.Array[Any]
    Chunks = pa.ChunkedArray[Any]
else:
    Column, Chunks = pa.Array, pa.ChunkedArray

ListColumn = Any
"""A pa.ListArray; type checkers cannot derive one from a table."""


def column_of(values: NDArray[Any]) -> Column:
    """Returns a numpy array (n,) as a column, without a copy where Arrow allows it."""
    column: Column = pa.array(values)
    return column


def numpy_of(column: Column | Chunks) -> NDArray[Any]:
    """Returns a column without nulls as a numpy array (n,)."""
    if isinstance(column, pa.ChunkedArray):
        return np.asarray(column.to_numpy())
    return np.asarray(column.to_numpy(zero_copy_only=False))


def whole(column: Column | Chunks) -> Column:
    """Returns the chunks of a column as one array; strings become large strings, which may exceed 2 GiB together."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    wide: Chunks = column.cast(pa.large_string()) if pa.types.is_string(column.type) else column
    one: Column = pa.concat_arrays(wide.chunks) if wide.num_chunks else pa.array([], wide.type)
    return one


def list_column(lengths: NDArray[Any], values: Column) -> ListColumn:
    """Returns a list column from the lengths of its lists and their concatenated values."""
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    of_values: ListColumn = pa.ListArray
    return of_values.from_arrays(column_of(offsets), values)


def lengths_of(lists: ListColumn) -> NDArray[np.int64]:
    """Returns the length of each list, int64 (n,); 0 for null."""
    return numpy_of(lists.value_lengths().fill_null(0)).astype(np.int64)


def factor_matrix(lists: ListColumn, dimensions: int) -> NDArray[np.float32]:
    """Returns a list<float32> column without nulls as float32 (n, dimensions). Raises BadFactors on other lengths."""
    lengths = lengths_of(lists)
    if np.any(lengths != dimensions):
        raise BadFactors(
            f"factors have {lengths.min()} to {lengths.max()} dimensions instead of {dimensions}; "
            "users and sources need factors of the same training"
        )
    return np.ascontiguousarray(numpy_of(lists.flatten()), np.float32).reshape(len(lists), dimensions)
