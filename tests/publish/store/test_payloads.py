"""Thousands of payloads judged together: never milder than protobuf's own code."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from publish.errors import MalformedMessage
from publish.lists_pb2 import List
from publish.store.payloads import fault_in
from publish.wire.codec import decode
from publish.wire.columns import join
from publish.wire.packed import are_plain

INT64 = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 300)
FLOAT = st.floats(width=32, allow_nan=True, allow_infinity=True)


@st.composite
def lists(draw: st.DrawFn) -> bytes:
    """A list, often of distinct ids and as many finite scores."""
    sources = draw(st.lists(INT64, max_size=12, unique=draw(st.booleans())))
    number = len(sources) if draw(st.booleans()) else draw(st.sampled_from([0, 0, 3]))
    numbers = FLOAT if draw(st.booleans()) else st.floats(0, 9, width=32)
    scores = draw(st.lists(numbers, min_size=number, max_size=number))
    return List(source_ids=sources, scores=scores).SerializeToString()


@st.composite
def tampered(draw: st.DrawFn) -> bytes:
    """A list with a byte changed, cut off or added."""
    payload = bytearray(draw(lists()))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(payload)))
        match draw(st.sampled_from(["change", "cut", "add"])):
            case "change" if payload:
                payload[place % len(payload)] = draw(st.sampled_from([0, 1, 0x0A, 0x1A, 0x7F, 0x80, 0xFF]))
            case "cut":
                del payload[place:]
            case _:
                payload.insert(place, draw(st.integers(0, 255)))
    return bytes(payload)


def is_good(payload: bytes) -> bool:
    """What verify means, by protobuf's code."""
    try:
        sources, scores = decode(payload, "int64")
    except MalformedMessage:
        return False
    return len(set(sources)) == len(sources) and all(map(np.isfinite, scores))


def judged(payloads: list[bytes]) -> bool:
    return are_plain(*join(payloads))


@settings(max_examples=400, deadline=None)
@given(payloads=st.lists(lists() | tampered() | st.binary(max_size=30), min_size=1, max_size=4))
def test_what_is_judged_plain_is_good_and_what_is_not_good_is_told(payloads: list[bytes]) -> None:
    assert not judged(payloads) or all(map(is_good, payloads))
    assert (fault_in(payloads, "int64") is None) is all(map(is_good, payloads))


@settings(max_examples=100, deadline=None)
@given(payloads=st.lists(lists(), min_size=1, max_size=6))
def test_every_good_list_of_ours_is_judged_at_once(payloads: list[bytes]) -> None:
    assert judged(payloads) is all(map(is_good, payloads))


def packed(*values: bytes) -> bytes:
    body = b"".join(values)
    return b"\x0a" + bytes([len(body)]) + body


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (packed(b"\x01", b"\x81\x00"), "twice"),  # 1, and 1 in more bytes than it needs
        (packed(b"\x07") + packed(b"\x07"), "twice"),  # a field in two pieces is one list
        (b"\x12\x01a", "another kind"),
        (packed(b"\xff" * 10 + b"\x01"), "not a protobuf List"),
        (packed(b"\x01")[:-1], "not a protobuf List"),
        (packed(b"\x01") + b"\x1a\x04" + struct.pack("<f", float("-inf")), "not a number"),
        (packed(b"\x01", b"\x02") + b"\x1a\x04" + struct.pack("<f", 1), "1 scores for 2 sources"),
    ],
)
def test_what_only_protobuf_can_judge(payload: bytes, why: str) -> None:
    fault = fault_in([packed(b"\x05"), payload, b""], "int64")
    assert fault is not None
    assert why in fault


def test_lists_of_names() -> None:
    names = List(source_names=["a", "b"]).SerializeToString()
    assert fault_in([names, b""], "string") is None
    assert fault_in([names, names + names], "string") == "a list holds a source twice"
    assert fault_in([names], "int64") is not None
