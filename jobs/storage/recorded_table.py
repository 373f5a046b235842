"""A table in a file that a record beside it names.

It is made again by writing a file beside the old one, then the record: a reader who follows the record sees one of them
as a whole.
"""

import io
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from conf.base import Strict
from conf.digest import sha256_of
from jobs.storage.store import Storage

RECORD = "_record.json"
"""Name of the record in the folder of its table."""
R = TypeVar("R", bound=Strict)


def write_recorded(at: Storage, folder: str, table: pa.Table, record: R) -> R:
    """Writes a table as a whole; returns the record with `file` and `sha256` of it. Equal tables have equal bytes."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    content = buffer.getvalue()
    sha256 = sha256_of(content)
    file = f"part-{sha256[:16]}.parquet"
    record = record.model_copy(update={"file": file, "sha256": sha256})
    at.write_bytes(f"{folder}/{file}", content)
    write_record(at, folder, record)
    for info in at.files(folder):
        if info.base_name not in (file, RECORD):
            at.delete(f"{folder}/{info.base_name}")
    return record


def write_record(at: Storage, folder: str, record: Strict) -> None:
    """Writes the record of a table that is there."""
    at.write_bytes(f"{folder}/{RECORD}", record.model_dump_json(indent=1).encode())


def read_recorded(at: Storage, path: str, sha256: str) -> pa.Table | None:
    """Returns the table in a file; None if it is gone or was changed."""
    try:
        content = at.read_bytes(path)
    except OSError:
        return None
    return pq.read_table(io.BytesIO(content)) if sha256_of(content) == sha256 else None
