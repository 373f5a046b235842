"""Reads a table with user_id, item_id, split into a part for choosing settings and a part for judging them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.parquet as pq

from benchmarks.quality.errors import QualityError
from benchmarks.quality.part import SplitPart
from conf.ids import IdKind
from models.arrays.arrow import column_of, numpy_of, whole

HELD_OUT = 0.1
"""Share of each user's train rows that settings are chosen by, if the table has no valid rows."""
_PARTS = ("train", "valid", "test")


@dataclass(frozen=True, eq=False)
class Split:
    """One data set: `tuning` holds no row of the test part, `final` is judged once."""

    name: str
    k: int
    tuning: SplitPart
    final: SplitPart


def read_split(path: Path, name: str, k: int) -> Split:
    """Reads a Parquet or CSV table of user_id, item_id, split (train, valid or test) and optionally weight.

    Training uses the train rows only, also before the test, where lists may hold valid rows. Raises QualityError.
    """
    table, kind = _checked(_read(path), path)
    parts = {part: table.filter(pc.field("split") == part).drop_columns(["split"]) for part in _PARTS}
    for part in ("train", "test"):
        if not len(parts[part]):
            raise QualityError(f"{path} has no rows with split = {part}: it needs some")
    final = SplitPart.of(parts["train"], parts["test"], kind)
    tuning = SplitPart.of(parts["train"], parts["valid"], kind) if len(parts["valid"]) else _held_out(final)
    return Split(name, k, tuning, final)


def _held_out(part: SplitPart) -> SplitPart:
    """Returns the train rows without a random tenth of each user's; that tenth is the truth."""
    ids = numpy_of(pc.index_in(part.train["user_id"], whole(part.train["user_id"].unique())))
    counts = np.bincount(ids)
    drawn = np.lexsort((np.random.default_rng(5).random(len(ids)), ids))
    rank = np.empty(len(ids), np.int64)
    rank[drawn] = np.arange(len(ids)) - np.repeat(np.cumsum(counts) - counts, counts)
    held = rank < np.round(counts * HELD_OUT)[ids]
    return SplitPart.of(part.train.filter(column_of(~held)), part.train.filter(column_of(held)), part.ids)


def _read(path: Path) -> pa.Table:
    if not path.is_file():
        raise QualityError(f"{path} is missing: name the table with --data")
    try:
        return csv.read_csv(path) if path.suffix == ".csv" else pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise QualityError(f"{path} is neither Parquet nor (*.csv) CSV: {error}") from None


def _checked(table: pa.Table, path: Path) -> tuple[pa.Table, IdKind]:
    """Returns user_id, source_id, split and weight, with types checked and without nulls; and the kind of ids."""
    if lacking := [name for name in ("user_id", "item_id", "split") if name not in table.column_names]:
        raise QualityError(f"{path} lacks {', '.join(lacking)}; it has {', '.join(table.column_names)}")
    columns = {name: table[name] for name in ("user_id", "item_id", "split")}
    columns["weight"] = _weights(table, path)
    for name, column in columns.items():
        if column.null_count:
            raise QualityError(f"{path} has {column.null_count} rows without {name}: drop or correct them")
    splits = pc.unique(columns["split"].cast(pa.string())).to_pylist()
    if strange := sorted({str(split) for split in splits} - set(_PARTS)):
        raise QualityError(f"{path} has split = {', '.join(strange)}; known are {', '.join(_PARTS)}")
    kinds = {_kind(columns[name], name, path) for name in ("user_id", "item_id")}
    kind: IdKind = "int64" if kinds == {"int64"} else "string"
    ids = (columns[name].cast(pa.int64() if kind == "int64" else pa.string()) for name in ("user_id", "item_id"))
    names = ["user_id", "source_id", "split", "weight"]
    return pa.table([*ids, columns["split"].cast(pa.string()), columns["weight"]], names), kind


def _kind(column: Any, name: str, path: Path) -> IdKind:
    value = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_integer(value):
        return "int64"
    if pa.types.is_string(value) or pa.types.is_large_string(value):
        return "string"
    raise QualityError(f"{path} has {name} of type {column.type}; ids are integers or strings")


def _weights(table: pa.Table, path: Path) -> Any:
    if "weight" not in table.column_names:
        return pa.chunked_array([column_of(np.ones(len(table)))])
    weights = table["weight"].cast(pa.float64())
    known = numpy_of(weights.drop_null())
    if not (np.isfinite(known) & (known > 0)).all():
        raise QualityError(f"{path} has weights that are not positive numbers: leave such rows out")
    return weights
