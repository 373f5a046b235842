"""Reads tables of factors as arrays, a batch at a time."""

import numpy as np
import pyarrow.dataset as ds
from numpy.typing import NDArray

from models.arrays.arrow import factor_matrix
from models.arrays.ids import IdMap
from models.arrays.streamed import streamed

_ROWS = 2**14
"""Rows read at once."""


def dimensions_of(table: ds.Dataset) -> int:
    """Returns the length of the factors in the first row, 0 without rows."""
    first = table.head(1, columns=["factors"])
    return len(first["factors"][0]) if first.num_rows else 0


def gather_factors(
    table: ds.Dataset, column: str, wanted: IdMap, dimensions: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_], int]:
    """Returns factors float32 (wanted, d) in the order of the ids, whether each was found, and the table's row count.

    Missing factors are 0. Only the result is held whole. Raises BadFactors on factors of other lengths, BadIds on ids
    of another kind.
    """
    factors = np.zeros((len(wanted), dimensions), np.float32)
    found = np.zeros(len(wanted), bool)
    read = 0
    for _, batch in streamed(table, [column, "factors"], _ROWS):
        rows = wanted.rows(batch[column])
        known = rows >= 0
        factors[rows[known]] = factor_matrix(batch["factors"], dimensions)[known]
        found[rows[known]] = True
        read += batch.num_rows
    return factors, found, read
