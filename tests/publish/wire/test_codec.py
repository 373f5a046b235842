from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.contract import snapshot
from conf.ids import IdKind
from publish.errors import MalformedMessage, SnapshotRefused
from publish.lists_pb2 import List
from publish.wire.codec import TopList, decode
from publish.wire.encoding import are_ids, encode_list, encode_rows
from tests.support.ids import ANY_BYTES, IDS, decoded_id, strings_of

SCORE = st.floats(width=32, allow_nan=False, allow_infinity=False)
INT_LISTS = st.lists(st.lists(st.integers(-(2**63), 2**63 - 1), unique=True, max_size=6), max_size=8)
TEXT_LISTS = st.lists(st.lists(IDS, unique=True, max_size=6), max_size=8)


def rows(lists: list[list[Any]], scores: list[list[float] | None], ids: IdKind) -> pa.RecordBatch:
    schema = pa.schema([snapshot(ids).field("source_ids"), snapshot(ids).field("scores")])
    return pa.RecordBatch.from_pydict({"source_ids": lists, "scores": scores}, schema=schema)


@given(st.data(), INT_LISTS)
def test_int64_lists_equal_protobufs_own_bytes(data: st.DataObject, lists: list[list[int]]) -> None:
    scores = [data.draw(st.lists(SCORE, min_size=len(ids), max_size=len(ids))) for ids in lists]
    expected = [List(source_ids=ids, scores=row).SerializeToString() for ids, row in zip(lists, scores, strict=True)]
    encoded = encode_rows(rows(lists, [*scores], "int64"), "int64")
    assert encoded == expected
    decoded = [decode(payload, "int64") for payload in encoded]
    assert decoded == [TopList(tuple(ids), tuple(row)) for ids, row in zip(lists, scores, strict=True)]


@given(st.data(), TEXT_LISTS)
def test_string_lists_equal_protobufs_own_bytes(data: st.DataObject, lists: list[list[str]]) -> None:
    scores = [data.draw(st.lists(SCORE, min_size=len(ids), max_size=len(ids))) for ids in lists]
    expected = [List(source_names=ids, scores=row).SerializeToString() for ids, row in zip(lists, scores, strict=True)]
    encoded = encode_rows(rows(lists, [*scores], "string"), "string")
    assert encoded == expected
    assert [decode(payload, "string").source_ids for payload in encoded] == [tuple(ids) for ids in lists]


@given(INT_LISTS, st.integers(0, 8), st.integers(0, 8))
def test_a_slice_of_a_batch_encodes_as_its_rows(lists: list[list[int]], start: int, length: int) -> None:
    batch = rows(lists, [None] * len(lists), "int64")
    encoded = encode_rows(batch, "int64")
    assert encode_rows(batch.slice(start, length), "int64") == encoded[start : start + length]


@given(TEXT_LISTS, st.integers(0, 8), st.integers(0, 8))
def test_a_slice_of_a_batch_of_strings_too(lists: list[list[str]], start: int, length: int) -> None:
    batch = rows(lists, [None] * len(lists), "string")
    encoded = encode_rows(batch, "string")
    assert encode_rows(batch.slice(start, length), "string") == encoded[start : start + length]


@pytest.mark.parametrize("scores", [None, []])
def test_lists_without_scores(scores: list[float] | None) -> None:
    payload = encode_rows(rows([[7, 8]], [scores], "int64"), "int64")[0]
    assert decode(payload, "int64") == TopList((7, 8), ())


def test_an_empty_list_is_empty_and_not_nothing() -> None:
    assert encode_rows(rows([[]], [[]], "int64"), "int64") == [b""]
    assert decode(b"", "int64") == TopList((), ())


def test_every_length_of_a_varint() -> None:
    edges = [value for bits in range(7, 63, 7) for value in (2**bits - 1, 2**bits)] + [0, 1, 2**63 - 1, -1, -(2**63)]
    payload = encode_list(pa.array(edges, pa.int64()), None, "int64")
    assert payload == List(source_ids=edges).SerializeToString()


def test_column_types_as_spark_writes_them() -> None:
    element = pa.list_(pa.field("element", pa.int64()))
    batch = pa.record_batch(
        [pa.array([[1, 2]], element), pa.array([[0.5, 0.25]], pa.list_(pa.field("element", pa.float32())))],
        names=["source_ids", "scores"],
    )
    assert decode(encode_rows(batch, "int64")[0], "int64") == TopList((1, 2), (0.5, 0.25))


@pytest.mark.parametrize(
    ("ids", "scores", "reason"),
    [
        ([[1, 2], [3, 3]], [[1, 0], [1, 0]], "twice"),
        ([[1, 2], [3, 3]], [None, None], "twice"),
        ([[1]], [[float("nan")]], "NaN"),
        ([[1]], [[float("inf")]], "infinite"),
        ([[1]], [[-float("inf")]], "infinite"),
        ([[1]], [[None]], "null"),
        ([[1, 2]], [[1.0]], "as many scores"),
        ([[1, 2], [3]], [[1.0, 0.5], None], "as many scores"),  # a list has lost its scores
        ([None], [None], "null"),
        ([[1, None]], [None], "null"),
    ],
)
def test_a_list_that_breaks_a_rule_is_refused(ids: list[Any], scores: list[Any], reason: str) -> None:
    with pytest.raises(SnapshotRefused, match=reason):
        encode_rows(rows(ids, scores, "int64"), "int64")


def test_the_same_source_may_be_in_two_lists() -> None:
    assert len(encode_rows(rows([[1, 2], [2, 1]], [None, None], "int64"), "int64")) == 2


def test_ids_of_another_kind_are_refused() -> None:
    with pytest.raises(SnapshotRefused, match=r"source_ids is list.*string.*must be list.*int64"):
        encode_rows(rows([["a"]], [None], "string"), "int64")


@given(st.lists(ANY_BYTES, max_size=4))
def test_a_string_is_an_id_or_it_is_refused(values: list[bytes]) -> None:
    fit = all(decoded_id(value) is not None for value in values)
    assert are_ids(strings_of(values)) == fit
    assert are_ids(strings_of([b"", *values, b"\0"]).slice(1, len(values))) == fit
    names = strings_of(list(dict.fromkeys(values)))
    lists = pa.ListArray.from_arrays(pa.array([0, len(names)], pa.int32()), names)
    batch = pa.record_batch([lists, pa.array([None], pa.list_(pa.float32()))], names=["source_ids", "scores"])
    if fit:
        assert len(encode_rows(batch, "string")) == 1
        return
    with pytest.raises(SnapshotRefused, match=r"not 1 … 255 bytes of UTF-8 without NUL; repair the events"):
        encode_rows(batch, "string")


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\xff\xff", "not a protobuf List"),
        (List(source_names=["a"]).SerializeToString(), "another kind"),
        (List(source_ids=[1], scores=[1, 2]).SerializeToString(), "2 scores for 1 sources"),
    ],
)
def test_a_payload_that_is_no_list_is_refused(payload: bytes, reason: str) -> None:
    with pytest.raises(MalformedMessage, match=reason):
        decode(payload, "int64")
