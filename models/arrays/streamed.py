"""Reads tables as a stream, in bounded memory."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

_STREAMED = ds.ParquetFragmentScanOptions(pre_buffer=False, use_buffered_stream=True)
"""By default Arrow would hold several whole row groups in memory."""


def streamed(table: ds.Dataset, columns: list[str], rows: int) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields (file, batch of 1 … `rows` rows), files in order of their names; a Dataset promises no order."""
    for fragment in sorted(table.get_fragments(), key=_name):
        for batch in fragment.to_batches(
            columns=columns,
            batch_size=rows,
            batch_readahead=1,
            fragment_readahead=1,
            fragment_scan_options=_STREAMED,
        ):
            if batch.num_rows:
                yield _name(fragment), batch
    pa.default_memory_pool().release_unused()  # Arrow would keep memory that training needs


def _name(fragment: Any) -> str:
    return str(getattr(fragment, "path", ""))
