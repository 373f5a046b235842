"""The rows of one user in Parquet files: row groups whose statistics exclude the user are not read.

A table that is not sorted by user has them in every row group, so a process that is asked often keeps a copy of its
files, sorted by user in small row groups.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from conf.ids import UserId
from jobs.storage.digests import listing_of
from jobs.storage.store import Storage

USER = "user_id"
_GROUP_BYTES = 2**18
"""Bytes of a row group of a sorted copy, about."""
_PIECE_BYTES = 2**26
"""Bytes that are sorted at once: a copy of a larger file has several, each with rows of any user."""
_BATCH_ROWS = 2**14


@dataclass(frozen=True, eq=False)
class _Group:
    """A row group: its number, and the least and the largest user in it; None: unknown."""

    number: int
    bounds: tuple[UserId, UserId] | None

    def may_have(self, user: UserId) -> bool:
        return self.bounds is None or self.bounds[0] <= user <= self.bounds[1]  # type: ignore[operator]


@dataclass(frozen=True, eq=False)
class _File:
    path: str
    footer: pq.FileMetaData
    groups: tuple[_Group, ...]
    largest: int
    """Bytes of its largest row group."""


class UserRows:
    """The files of a table in a folder, whose footers are read once."""

    def __init__(self, folder: Storage, table: str = "") -> None:
        self._folder = folder
        self.files = tuple(_file(folder, f"{table}/{name}".lstrip("/")) for name, _, _ in listing_of(folder, table))

    @property
    def largest_group(self) -> int:
        """Bytes of the largest row group."""
        return max((file.largest for file in self.files), default=0)

    def of(self, user: UserId, columns: Sequence[str]) -> pa.Table:
        """Returns these columns of the user's rows, in any order."""
        found = []
        for file in self.files:
            groups = [group.number for group in file.groups if group.may_have(user)]
            if groups:
                with self._folder.open(file.path) as stream:
                    opened = pq.ParquetFile(stream, metadata=file.footer)
                    found += [_rows(opened, group, user, columns) for group in groups]
        kept = [table for table in found if table.num_rows]
        return pa.concat_tables(kept) if kept else self._empty(columns)

    def _empty(self, columns: Sequence[str]) -> pa.Table:
        if not self.files:
            return pa.table({name: pa.array([], pa.null()) for name in columns})
        schema = self.files[0].footer.schema.to_arrow_schema()
        return pa.schema([schema.field(name) for name in columns]).empty_table()


def _rows(file: pq.ParquetFile, group: int, user: UserId, columns: Sequence[str]) -> pa.Table:
    """Returns the user's rows of a row group, by this thread alone: handing parts of it to others takes longer."""
    if file.metadata.row_group(group).total_byte_size <= 2 * _GROUP_BYTES:
        rows = file.read_row_group(group, columns=[*{USER, *columns}], use_threads=False)
        return rows.filter(_theirs(rows[USER], user)).select(list(columns))
    theirs = _theirs(file.read_row_group(group, columns=[USER], use_threads=False)[USER], user)
    if not pc.any(theirs).as_py():  # null counts as false
        return file.schema_arrow.empty_table().select(list(columns))
    return file.read_row_group(group, columns=list(columns), use_threads=False).filter(theirs)


def _theirs(users: Any, user: UserId) -> Any:
    return pc.equal(users, pa.scalar(user, users.type))


def _file(folder: Storage, path: str) -> _File:
    with folder.open(path) as stream:
        footer = pq.read_metadata(stream)
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    bounds = tuple(_Group(number, _bounds(group)) for number, group in enumerate(groups))
    return _File(path, footer, bounds, max((group.total_byte_size for group in groups), default=0))


def _bounds(group: pq.RowGroupMetaData) -> tuple[UserId, UserId] | None:
    for at in range(group.num_columns):
        column = group.column(at)
        if column.path_in_schema == USER and column.statistics is not None and column.statistics.has_min_max:
            found: Any = column.statistics
            return found.min, found.max
    return None


_COPYING = threading.Lock()
"""Held while a copy is made: two requests for the same run wait for one copy, and memory is that of one piece."""
_DONE = "_SUCCESS"


def sorted_copy(folder: Storage, table: str, at: Storage) -> Storage:
    """Returns the folder `at` with a copy of a table's rows in files sorted by user; it is made if it is not there."""
    with _COPYING:
        if not at.exists(_DONE):
            at.delete("")
            for number, (name, _, _) in enumerate(listing_of(folder, table)):
                _copy(folder, f"{table}/{name}".lstrip("/"), at, f"part-{number:05}")
            at.write_bytes(_DONE, b"")
            pa.default_memory_pool().release_unused()
    return at


def _copy(folder: Storage, path: str, at: Storage, name: str) -> None:
    with folder.open(path) as stream:
        for number, piece in enumerate(_pieces(pq.ParquetFile(stream))):
            rows = (piece.filter(pc.is_valid(piece[USER])) if piece[USER].null_count else piece).sort_by(USER)
            per_group = max(256, int(len(rows) * _GROUP_BYTES / max(1, rows.nbytes)))
            buffer = pa.BufferOutputStream()
            pq.write_table(rows, buffer, row_group_size=per_group, compression="zstd")
            at.write_bytes(f"{name}-{number:03}.parquet", buffer.getvalue().to_pybytes())


def _pieces(file: pq.ParquetFile) -> Iterator[pa.Table]:
    """Yields the rows of a file, some _PIECE_BYTES at once."""
    waiting: list[pa.RecordBatch] = []
    for batch in file.iter_batches(_BATCH_ROWS):
        waiting.append(batch)
        if sum(one.nbytes for one in waiting) >= _PIECE_BYTES:
            yield _taken(waiting)
    if waiting or not file.metadata.num_rows:
        yield _taken(waiting, file.schema_arrow)


def _taken(batches: list[pa.RecordBatch], schema: pa.Schema | None = None) -> pa.Table:
    """Returns the batches as a table, and empties the list: while a piece is sorted, nobody else holds its rows."""
    table = pa.Table.from_batches(batches, schema)
    batches.clear()
    return table
