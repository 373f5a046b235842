"""Compares two tables bit by bit, independent of their files, row groups and compression."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from conf.digest import sha256_of
from jobs.storage.errors import StorageError
from models.arrays.arrow import column_of, lengths_of, numpy_of
from models.arrays.streamed import streamed

_ROWS = 2**14
_Row = tuple[Any, ...]
AnyColumn = Any
"""A pa.Array of any type."""


@dataclass(frozen=True)
class Differing:
    """Count of differing rows in two tables, matched by their keys."""

    rows: int
    of: int
    first: str
    """Key of the first differing row, and its columns that differ."""


@dataclass(frozen=True)
class TableComparison:
    """Comparison of a table of the run with the one that was made again."""

    name: str
    rows: int
    then: str
    now: str
    """SHA-256 of the content."""
    differing: Differing | None

    @property
    def same(self) -> bool:
        """Whether every bit is the same."""
        return self.then == self.now


def compare_tables(name: str, then: ds.Dataset, now: ds.Dataset, keys: Sequence[str]) -> TableComparison:
    """Compares columns with the same names; both are sorted by `keys`, files by name. Raises StorageError."""
    columns = [*keys, *(column for column in now.schema.names if column not in keys)]
    rows, digest = digest_table(name, then, columns)
    _, digest_now = digest_table(name, now, columns)
    differing = None if digest == digest_now else _differing(then, now, columns, len(keys))
    return TableComparison(name, rows, digest, digest_now, differing)


def digest_table(name: str, table: ds.Dataset, columns: Sequence[str]) -> tuple[int, str]:
    """Returns the number of rows and the SHA-256 of the columns in row order, streamed. Raises StorageError."""
    digest = TableDigest()
    try:
        for _, batch in streamed(table, list(columns), _ROWS):
            digest.add(batch)
    except (pa.ArrowException, OSError) as error:
        raise StorageError(f"table {name!r} cannot be read ({error}): its files were changed or damaged") from None
    return digest.rows, digest.hexdigest()


class TableDigest:
    """SHA-256 of rows in their order: one hash per column, so that batch boundaries do not matter."""

    def __init__(self) -> None:
        self.rows = 0
        self._parts: dict[str, Any] = {}

    def add(self, batch: pa.RecordBatch) -> None:
        """Adds these rows; columns must be those of the first batch."""
        self.rows += batch.num_rows
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            self._add(name, column)

    def hexdigest(self) -> str:
        """Returns the SHA-256 of all rows so far."""
        parts = "".join(f"{name} {part.hexdigest()}\n" for name, part in sorted(self._parts.items()))
        return sha256_of(f"{self.rows} rows\n{parts}")

    def _add(self, name: str, column: AnyColumn) -> None:
        self._update(f"{name} is there", numpy_of(column.is_valid()))
        kind = column.type
        if pa.types.is_list(kind):
            self._update(f"{name} length", lengths_of(column))
            self._add(f"{name}[]", column.flatten())
        elif pa.types.is_string(kind):
            lengths, text = _text_of(column)
            self._update(f"{name} length", lengths)
            self._update(f"{name} {kind}", text)
        else:
            bits = bits_of(column)
            self._update(f"{name} {kind}", numpy_of(bits.fill_null(pa.scalar(0).cast(bits.type))))

    def _update(self, name: str, values: np.ndarray[Any, Any]) -> None:
        self._parts.setdefault(name, hashlib.sha256()).update(np.ascontiguousarray(values).data.cast("B"))


def bits_of(column: AnyColumn) -> AnyColumn:
    """Returns the column with floats and times as integers, which are equal only if every bit is: −0 is not 0."""
    kind = column.type
    if pa.types.is_list(kind):
        lists: AnyColumn = pa.ListArray
        ends = np.append(np.int32(0), np.cumsum(lengths_of(column), dtype=np.int32))
        return lists.from_arrays(column_of(ends), bits_of(column.flatten()), mask=column.is_null())
    if pa.types.is_floating(kind) or pa.types.is_timestamp(kind):
        return column.view(pa.int32() if kind.bit_width == 32 else pa.int64())
    return column


def _text_of(column: AnyColumn) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Returns the length in bytes of each string (0 for null), and the bytes of all strings."""
    wide = column.fill_null("").cast(pa.large_string())
    _, offsets, text = wide.buffers()
    ends = np.frombuffer(offsets, np.int64)[wide.offset : wide.offset + len(wide) + 1]
    return np.diff(ends), np.frombuffer(text or b"", np.uint8)[ends[0] : ends[-1]]


def _differing(then: ds.Dataset, now: ds.Dataset, columns: Sequence[str], keys: int) -> Differing:
    """Compares both tables in the order of their keys."""

    def key_of(one: tuple[_Row, int]) -> _Row:
        return one[0][:keys]

    rows = of = 0
    first = "none by its key: only their order differs"
    for key, group in groupby(merge(_rows(then, columns, 0), _rows(now, columns, 1), key=key_of), key_of):
        sides: tuple[list[_Row], list[_Row]] = ([], [])
        for row, side in group:
            sides[side].append(row)
        of += 1
        if sides[0] != sides[1]:
            rows += 1
            if rows == 1:
                first = _described(dict(zip(columns, key, strict=False)), sides, columns)
    return Differing(rows, of, first)


def _rows(table: ds.Dataset, columns: Sequence[str], side: int) -> Iterator[tuple[_Row, int]]:
    for _, batch in streamed(table, list(columns), _ROWS):
        for row in zip(*(bits_of(batch[name]).to_pylist() for name in columns), strict=True):
            yield row, side


def _described(key: dict[str, Any], sides: tuple[list[_Row], list[_Row]], columns: Sequence[str]) -> str:
    name = ", ".join(f"{column} {value}" for column, value in key.items())
    then, now = sides
    if not now:
        return f"{name} (only in the run)"
    if not then:
        return f"{name} (only in what was made again)"
    if len(then) != 1 or len(now) != 1:
        return f"{name} ({len(then)} rows in the run, {len(now)} in what was made again)"
    other = [column for column, a, b in zip(columns, then[0], now[0], strict=True) if a != b]
    return f"{name} ({', '.join(other)})"
