"""Factors → their tables, a batch at a time; back: `models.arrays.factors`."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from models.arrays.arrow import column_of, list_column
from models.arrays.ids import IdMap
from models.training.spectral import Factors

_BATCH_BYTES = 8 * 2**20


def factor_batches(ids: IdMap, factors: Factors, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yields rows of contract.user_factors or contract.source_factors, in batches of some megabytes."""
    dimensions = factors.shape[1]
    step = max(1, _BATCH_BYTES // (4 * dimensions))
    for start in range(0, len(ids), step):
        block = factors[start : start + step]
        column = list_column(np.full(len(block), dimensions), column_of(block.ravel()))
        yield pa.RecordBatch.from_arrays([ids.to_arrow(slice(start, start + step)), column], schema=schema)
