"""Ids of users and sources ↔ dense int32 rows, without a Python object per id.

String ids are held as fixed-width bytes (numpy `S`), whose order is that of UTF-8, of Arrow and of Spark.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from conf.ids import MAX_ID_BYTES, IdKind
from models.arrays.arrow import Chunks, Column, column_of, numpy_of, whole
from models.errors import BadIds

IdKeys = NDArray[Any]
"""int64, or `S` of some width."""

_MAX_ROWS = 2**31 - 1


@dataclass(frozen=True, eq=False)
class IdMap:
    """The sorted distinct ids of one kind; the row of an id is its position. Raises BadIds unless they ascend."""

    values: IdKeys

    def __post_init__(self) -> None:
        if not np.all(self.values[1:] > self.values[:-1]):
            raise BadIds("an id map needs distinct ids in ascending order; build it with IdMap.of")
        if len(self.values) > _MAX_ROWS:
            raise BadIds(f"{len(self.values)} ids do not fit into int32 rows; shorten the windows")

    @classmethod
    def of(cls, ids: Column | Chunks, kind: IdKind) -> "IdMap":
        """Returns the map of the distinct ids of an Arrow column. Raises BadIds on nulls and unusable ids."""
        return cls(np.unique(id_keys(ids, kind)))

    @property
    def kind(self) -> IdKind:
        """The kind of the ids."""
        return "string" if self.values.dtype.kind == "S" else "int64"

    def __len__(self) -> int:
        return len(self.values)

    def rows(self, ids: Column | Chunks) -> NDArray[np.int32]:
        """Returns the row of each id, int32 (n,); −1 for an unknown or null id. Raises BadIds on another id type."""
        _check_kind(ids, self.kind)
        encoded = whole(ids).dictionary_encode()
        found = np.append(self._find(encoded.dictionary), np.int32(-1))
        return np.asarray(found[numpy_of(encoded.indices.fill_null(-1))], np.int32)

    def _find(self, ids: Column) -> NDArray[np.int32]:
        rows = np.full(len(ids), -1, np.int32)
        if self.kind == "int64":
            possible, keys = np.ones(len(ids), bool), id_keys(ids, "int64")
        else:
            lengths, ends_in_nul = _byte_lengths(ids)
            possible = (lengths <= self.values.dtype.itemsize) & ~ends_in_nul
            keys = _fixed_width(ids.filter(column_of(possible)), self.values.dtype.itemsize)
        places = np.searchsorted(self.values, keys)
        places[places == len(self.values)] = 0
        known = self.values[places] == keys if len(self.values) else np.zeros(len(keys), bool)
        rows[possible] = np.where(known, places, -1)
        return rows

    def to_arrow(self, rows: slice | NDArray[np.int32] = slice(None)) -> Column:
        """Returns the ids of these rows (0 ≤ row < len) as an Arrow column of the map's kind."""
        keys = np.ascontiguousarray(self.values[rows])
        if self.kind == "int64":
            return column_of(keys)
        lengths = np.char.str_len(keys)
        offsets = np.zeros(len(keys) + 1, np.int32)
        np.cumsum(lengths, out=offsets[1:])
        width = keys.dtype.itemsize
        used = keys.view(np.uint8).reshape(len(keys), width)[np.arange(width) < lengths[:, None]]
        strings: Column = pa.StringArray.from_buffers(len(keys), pa.py_buffer(offsets.data), pa.py_buffer(used.data))
        return strings


def id_type(kind: IdKind) -> pa.DataType:
    """Returns the Arrow type of an id column."""
    return pa.int64() if kind == "int64" else pa.string()


def id_keys(ids: Column | Chunks, kind: IdKind) -> IdKeys:
    """Returns an Arrow column as sortable numpy keys (n,). Raises BadIds on nulls, other types and unusable ids."""
    _check_kind(ids, kind)
    if ids.null_count:
        raise BadIds(f"{ids.null_count} of {len(ids)} ids are null; drop such rows before building the interactions")
    column = whole(ids)
    if kind == "int64":
        return numpy_of(column.cast(pa.int64()))
    lengths, ends_in_nul = _byte_lengths(column)
    if ends_in_nul.any():
        raise BadIds(f"id {column[int(ends_in_nul.argmax())].as_py()!r} ends in a NUL character; clean such ids first")
    longest = int(lengths.max(initial=1))
    if longest > MAX_ID_BYTES:
        raise BadIds(f"an id has {longest} bytes, the limit is {MAX_ID_BYTES}; map long ids to shorter ones first")
    return _fixed_width(column, longest)


def merge_keys(parts: Sequence[IdKeys]) -> IdKeys:
    """Returns the sorted distinct keys of one or more parts."""
    return np.unique(np.concatenate(parts))


def _check_kind(ids: Column | Chunks, kind: IdKind) -> None:
    fits = pa.types.is_integer if kind == "int64" else lambda t: pa.types.is_string(t) or pa.types.is_large_string(t)
    if not fits(ids.type):
        raise BadIds(f"ids are {ids.type}, the product's kind of ids is {kind}; all datasets need the same kind")


def _buffers(ids: Column) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    large = ids.cast(pa.large_string())
    if not len(large):
        return np.zeros(1, np.int64), np.zeros(0, np.uint8)
    _, offsets, data = large.buffers()
    starts = _view(offsets).view(np.int64)[large.offset : large.offset + len(large) + 1]
    return starts, _view(data)


def _view(buffer: pa.Buffer | None) -> NDArray[np.uint8]:
    return np.zeros(0, np.uint8) if buffer is None else np.frombuffer(memoryview(buffer), np.uint8)


def _byte_lengths(ids: Column) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    starts, data = _buffers(ids)
    lengths = np.diff(starts)
    ends_in_nul = np.zeros(len(lengths), bool)
    filled = lengths > 0
    ends_in_nul[filled] = data[starts[1:][filled] - 1] == 0
    return lengths, ends_in_nul


def _fixed_width(ids: Column, width: int) -> IdKeys:
    starts, data = _buffers(ids)
    padded = np.zeros((len(ids), max(width, 1)), np.uint8)
    padded[np.arange(padded.shape[1]) < np.diff(starts)[:, None]] = data[starts[0] : starts[-1]]
    return padded.view(f"S{padded.shape[1]}").ravel()
