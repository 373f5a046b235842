"""Strings as ids, for the properties of every room: sound ones, and what exports write where an id should be."""

from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from conf.ids import MAX_ID_BYTES, is_id

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=MAX_ID_BYTES + 5)
IDS = _TEXT.filter(is_id)
"""Strings that can be ids."""
_EDGES = st.sampled_from(["", "\0", "a\0", "\0a", "a\0b", " ", "ü" * 127, "ü" * 128, "x" * 255, "x" * 256, "\ufffd"])
_NOT_UTF8 = [b"\xff", b"a\x80", b"\xc0\x80", b"\xe2\x82", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80"]
ANY_BYTES = st.one_of(_TEXT.map(str.encode), _EDGES.map(str.encode), st.sampled_from(_NOT_UTF8), st.binary(max_size=8))
"""What a column of strings can hold in a file, whatever it says."""


def strings_of(values: list[bytes | None]) -> "pa.Array[Any]":
    """A column of strings that nobody has checked, as files hold them."""
    strings: pa.Array[Any] = pa.array(values, pa.binary()).view(pa.string())
    return strings


def decoded_id(value: bytes) -> str | None:
    """The id that these bytes are, if they are one."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    return text if is_id(text) else None
