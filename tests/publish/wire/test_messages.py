import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publish.errors import MalformedMessage, UnknownMessage
from publish.wire.messages import (
    ENVELOPE_BYTES,
    Codec,
    MessageKind,
    begin_of,
    begin_value,
    end_of,
    end_value,
    pack,
    unpack,
)
from publish.wire.record_rows import pack_rows
from tests.publish.support.samples import announcement_of

ANNOUNCEMENT = announcement_of({1: [10, 11], 2: [12], 3: [], 4: [13]})


def raw(kind: int, codec: int, key: bytes, payload: bytes = b"") -> bytes:
    """A record with a right checksum, whatever it claims to be."""
    head = struct.pack(">BBQI", kind, codec, 5, 6)
    return head + struct.pack(">I", zlib.crc32(head + key + payload)) + payload


@given(st.integers(0, 2**63), st.integers(0, 2**32 - 1), st.binary(min_size=1), st.binary())
def test_data_survives_the_way(epoch: int, seq: int, key: bytes, payload: bytes) -> None:
    value = pack(MessageKind.DATA, epoch, seq, key, payload)
    assert len(value) == ENVELOPE_BYTES + len(payload) == 18 + len(payload)
    assert unpack(key, value) == (MessageKind.DATA, Codec.LIST, epoch, seq, payload)


@given(
    st.integers(0, 2**63),
    st.integers(0, 2**32 - 10),
    st.lists(st.tuples(st.binary(min_size=1), st.binary()), max_size=9),
)
def test_rows_are_packed_as_each_by_itself(epoch: int, first: int, rows: list[tuple[bytes, bytes]]) -> None:
    keys, payloads = [key for key, _ in rows], [payload for _, payload in rows]
    one_by_one = [pack(MessageKind.DATA, epoch, first + place, *row) for place, row in enumerate(rows)]
    assert pack_rows(epoch, first, keys, payloads) == one_by_one


@given(st.data(), st.binary(min_size=1, max_size=20), st.binary(max_size=40))
def test_any_flipped_bit_is_noticed(data: st.DataObject, key: bytes, payload: bytes) -> None:
    record = bytearray(key + pack(MessageKind.DATA, 7, 8, key, payload))
    bit = data.draw(st.integers(0, len(record) * 8 - 1))
    record[bit // 8] ^= 1 << bit % 8
    with pytest.raises(MalformedMessage, match="crc32"):
        unpack(bytes(record[: len(key)]), bytes(record[len(key) :]))


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (b"1", None, "tombstone"),
        (None, raw(2, 1, b""), "null key"),
        (b"1", b"", "shorter than the envelope"),
        (b"1", raw(2, 1, b"1")[:-1], "shorter than the envelope"),
        (b"2", raw(2, 1, b"1"), "crc32"),  # another user's record
        (b"", raw(2, 1, b""), "DATA with an empty key"),
        (b"1", raw(1, 0, b"1"), "BEGIN with a key"),
        (b"1", raw(3, 0, b"1"), "END with a key"),
    ],
)
def test_a_record_that_is_not_ours_is_refused(key: bytes | None, value: bytes | None, reason: str) -> None:
    with pytest.raises(MalformedMessage, match=reason):
        unpack(key, value)


@pytest.mark.parametrize(("kind", "codec"), [(0, 1), (4, 1), (2, 0), (2, 2), (1, 1), (3, 9)])
def test_an_intact_record_of_another_version_is_told_apart(kind: int, codec: int) -> None:
    with pytest.raises(UnknownMessage):
        unpack(b"1", raw(kind, codec, b"1"))


def test_begin_carries_the_announcements_hash_and_the_slice() -> None:
    for partition, announced in enumerate(ANNOUNCEMENT.slices):
        envelope = unpack(b"", begin_value(ANNOUNCEMENT, partition))
        begin = begin_of(envelope)
        assert (envelope.kind, envelope.epoch, envelope.seq) == (MessageKind.BEGIN, ANNOUNCEMENT.epoch, 0)
        assert (begin.run, begin.announcement, begin.slice) == (ANNOUNCEMENT.run, ANNOUNCEMENT.hash, announced)


def test_end_says_what_was_sent() -> None:
    sent = ANNOUNCEMENT.slices[1]
    envelope = unpack(b"", end_value(ANNOUNCEMENT, sent))
    end = end_of(envelope)
    assert (envelope.kind, envelope.seq) == (MessageKind.END, sent.count)
    assert (end.run, end.count, end.digest) == (ANNOUNCEMENT.run, sent.count, sent.digest)


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b'{"run":"r"}', b"\xff", b'{"run":"r","count":1,"digest":"0","more":1}']
)
def test_a_mark_with_another_payload_is_refused(payload: bytes) -> None:
    with pytest.raises(MalformedMessage, match="END"):
        end_of(unpack(b"", pack(MessageKind.END, 1, 0, b"", payload)))


def test_a_mark_is_not_taken_for_another() -> None:
    with pytest.raises(MalformedMessage, match="BEGIN where END"):
        end_of(unpack(b"", begin_value(ANNOUNCEMENT, 0)))
