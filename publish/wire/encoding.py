"""Encodes lists as protobuf (`lists.proto`), a whole Arrow batch at a time.

No Python object is created per source; the bytes equal protobuf's own. On the wire a packed field is its tag, its
length in bytes and its values back to back; an empty field is absent
(https://protobuf.dev/programming-guides/encoding/).
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from conf.contract import snapshot
from conf.ids import ID_RULE, MAX_ID_BYTES, IdKind
from publish.errors import SnapshotRefused
from publish.wire.columns import Bytes, Ints, cut
from publish.wire.packed import NAMES_TAG, SCORES_TAG, has_duplicates, pack_fields, pack_ids


def encode_rows(batch: pa.RecordBatch, ids: IdKind) -> list[bytes]:
    """Returns the payload of each row of a conf.contract.snapshot; raises SnapshotRefused.

    Either every list has scores or none has.
    """
    schema = snapshot(ids)
    sources = _column(batch, "source_ids", schema)
    scores = _column(batch, "scores", schema)
    counts = _counts(sources)
    score_counts = _counts(scores)
    _check(sources, counts, scores, score_counts)
    flat = sources.flatten()
    if ids == "int64":
        bodies = cut(*pack_ids(flat.to_numpy().view(np.uint64), np.cumsum(counts)))
    else:
        bodies = _names(flat, counts)
    if not score_counts.any():
        return bodies
    floats = scores.flatten().to_numpy().astype("<f4", copy=False).view(np.uint8)
    tails = cut(*pack_fields(SCORES_TAG, floats, np.cumsum(score_counts) * 4, empty_too=False))
    return [body + tail for body, tail in zip(bodies, tails, strict=True)]


def encode_list(source_ids: "pa.Array[Any]", scores: "pa.Array[Any] | None", ids: IdKind) -> bytes:
    """Returns the payload of one list, such as the fallback list; raises SnapshotRefused."""
    row: dict[str, list[Any]] = {
        "source_ids": [source_ids.to_pylist()],
        "scores": [None if scores is None else scores.to_pylist()],
    }
    schema = pa.schema([snapshot(ids).field(name) for name in row])
    return encode_rows(pa.RecordBatch.from_pydict(row, schema), ids)[0]


def are_ids(strings: pa.StringArray) -> bool:
    """Returns whether conf.ids.is_id accepts every string of a column without nulls."""
    try:
        strings.validate(full=True)
    except pa.ArrowInvalid:  # not UTF-8
        return False
    lengths = pc.binary_length(strings).to_numpy(zero_copy_only=False)
    fits = ((lengths >= 1) & (lengths <= MAX_ID_BYTES)).all()
    return bool(fits) and not pc.any(pc.match_substring(strings, "\0")).as_py()


def _column(batch: pa.RecordBatch, name: str, schema: pa.Schema) -> "pa.ListArray[Any]":
    wanted = schema.field(name).type
    column: Any = batch.column(name)
    try:
        lists: pa.ListArray[Any] = column if column.type.equals(wanted) else column.cast(wanted)
    except pa.ArrowException:
        raise SnapshotRefused(
            f"snapshot: {name} is {column.type}, must be {wanted}; write the snapshot again"
        ) from None
    return lists


def _counts(lists: "pa.ListArray[Any]") -> Ints:
    counts: Ints = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    return counts


def _check(sources: "pa.ListArray[Any]", counts: Ints, scores: "pa.ListArray[Any]", score_counts: Ints) -> None:
    flat_ids, flat_scores = sources.flatten(), scores.flatten()
    if sources.null_count or flat_ids.null_count:
        raise SnapshotRefused(
            "snapshot: a list, or a source in it, is null; every user needs a list, which may be empty"
        )
    if score_counts.any() and (score_counts != counts).any():
        raise SnapshotRefused("snapshot: a list has not as many scores as sources; compute the lists again")
    if flat_scores.null_count or not np.isfinite(flat_scores.to_numpy(zero_copy_only=False)).all():
        raise SnapshotRefused("snapshot: a score is null, NaN or infinite; train and compute the lists again")
    if isinstance(flat_ids, pa.StringArray) and not are_ids(flat_ids):
        raise SnapshotRefused(f"snapshot: a source has an id that is not {ID_RULE}; repair the events")
    if _has_duplicates(flat_ids, counts):
        raise SnapshotRefused("snapshot: a list holds a source twice; compute the lists again")


def _has_duplicates(flat_ids: "pa.Array[Any]", counts: Ints) -> bool:
    ids = flat_ids.to_numpy() if pa.types.is_int64(flat_ids.type) else flat_ids.dictionary_encode().indices.to_numpy()
    return has_duplicates(ids.astype(np.uint64), np.cumsum(counts))


def _names(flat: "pa.Array[Any]", counts: Ints) -> list[bytes]:
    text, ends = _utf8(flat)
    data, field_ends = pack_fields(NAMES_TAG, text, ends, empty_too=True)
    return cut(data, np.concatenate([[0], field_ends])[np.cumsum(counts)])


def _utf8(flat: "pa.Array[Any]") -> tuple[Bytes, Ints]:
    # Returns the joined bytes of the strings and the end of each; `flat` has no nulls.
    _, offsets, data = flat.buffers()
    if not len(flat) or offsets is None or data is None:  # an empty Arrow array has no buffers
        return np.empty(0, np.uint8), np.zeros(len(flat), np.int64)
    ends = np.frombuffer(memoryview(offsets), np.int32)[flat.offset : flat.offset + len(flat) + 1].astype(np.int64)
    return np.frombuffer(memoryview(data), np.uint8)[ends[0] : ends[-1]], ends[1:] - ends[0]
