"""Checks the columns of a dataset in Parquet footers before any row is read."""

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyarrow import types as t

from conf.ids import IdKind
from features.errors import SchemaError
from features.reading.catalog import DataFile, DayPartition

_PARTITION = "dt"


@dataclass(frozen=True)
class ColumnKind:
    """Types that a column may have in the files, and how messages describe them."""

    name: str
    accepts: Callable[[pa.DataType], bool]


def _integer(type_: pa.DataType) -> bool:
    return bool(t.is_integer(type_)) and type_ != pa.uint64()  # uint64 does not fit an int64


def _number(type_: pa.DataType) -> bool:
    return _integer(type_) or type_ in (pa.float32(), pa.float64()) or bool(t.is_decimal128(type_))


INTEGER = ColumnKind("an integer of at most 64 bits, signed", _integer)
TEXT = ColumnKind("a string", t.is_string)
LABEL = ColumnKind("a string or an integer", lambda type_: _integer(type_) or bool(t.is_string(type_)))
TIME = ColumnKind("a timestamp", t.is_timestamp)
MOMENT = ColumnKind("a timestamp or a date", lambda type_: bool(t.is_timestamp(type_) or t.is_date(type_)))
NUMBER = ColumnKind("a number", _number)


@dataclass(frozen=True)
class Field:
    """A column of ours and its name in the files."""

    name: str
    column: str
    kind: ColumnKind
    required: bool = True
    is_id: bool = False


def id_field(name: str, column: str, ids: IdKind, *, required: bool = True) -> Field:
    """Returns an id column of the product's kind."""
    return Field(name, column, INTEGER if ids == "int64" else TEXT, required, is_id=True)


def check_fields(name: str, fields: Sequence[Field], partitions: Iterable[DayPartition]) -> tuple[Field, ...]:
    """Returns the fields that all files have; raises SchemaError with file, column, type and remedy of each fault."""
    examples: dict[tuple[object, ...], DataFile] = {}
    for partition in partitions:
        for file in partition.files:
            examples.setdefault((file.schema, *sorted(file.undecodable.items())), file)
    faults = [
        f"{file.path}: {fault}"
        for file in examples.values()
        for field in fields
        if (fault := _fault(name, field, file))
    ]
    if faults:
        raise SchemaError(f"dataset {name!r} does not have the columns it must have: " + "; ".join(faults))
    return tuple(field for field in fields if all(field.column in file.schema.names for file in examples.values()))


def _fault(name: str, field: Field, file: DataFile) -> str | None:
    schema = file.schema
    count = schema.names.count(field.column)
    if count > 1:
        return f"column {field.column!r} is there {count} times; write it once"
    if count == 0:
        return _missing(name, field, schema.names) if field.required else None
    if fault := _unreadable(field.column, file):
        return fault
    found = schema.field(field.column).type
    if field.kind.accepts(found):
        return None
    hint = "every dataset of a product has the kind of ids that its `ids` says" if field.is_id else "write it as that"
    return f"column {field.column!r} is {found}, must be {field.kind.name}: {hint}"


def _unreadable(column: str, file: DataFile) -> str | None:
    """Returns why Spark cannot read an existing column, or None."""
    if column.lower() == _PARTITION:
        return (
            f"column {column!r} has the name of the partitions, which Spark reads instead; write it under another one"
        )
    if alike := [other for other in file.schema.names if other != column and other.lower() == column.lower()]:
        return f"column {column!r} is there as {alike[0]!r} too, which Spark cannot distinguish; rename one"
    if column in file.undecodable:
        return (
            f"column {column!r} is compressed by {file.undecodable[column]}, which Spark cannot undo; write it by zstd"
        )
    return None


def _missing(name: str, field: Field, present: Sequence[str]) -> str:
    folded = {column.lower(): column for column in present}
    near = [folded[word] for word in difflib.get_close_matches(field.column.lower(), folded, n=3, cutoff=0.5)]
    there = f"near it: {', '.join(map(repr, near))}" if near else f"there are: {', '.join(map(repr, present))}"
    remedy = f"if it has another name, set columns.{field.name} of dataset {name!r} to it"
    return f"no column {field.column!r}, {there}; {remedy}"
