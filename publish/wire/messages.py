"""The records of a push: an envelope of 18 bytes, then the payload.

    offset  size  field (big endian)
    0       1     kind: 1 BEGIN, 2 DATA, 3 END
    1       1     codec of the payload: 0 JSON (BEGIN, END), 1 protobuf List (DATA)
    2       8     epoch of the run
    10      4     seq: DATA dense from 0 within the partition; BEGIN 0; END the count
    14      4     crc32 over bytes 0 … 13, the record's key, and the payload
    18            payload

The key of DATA is the user id as UTF-8; that of BEGIN and END is empty, never null. The envelope is in the value, since
confluent-kafka's fast path drops headers. The payload of an empty list is empty; no record has a null value.
"""

import struct
import zlib
from enum import IntEnum
from typing import NamedTuple, TypeVar

from pydantic import ValidationError

from conf.base import Strict
from publish.errors import MalformedMessage, UnknownMessage
from publish.wire.announcement import Announcement, RunName, Slice

HEAD = struct.Struct(">BBQI")
_CRC = struct.Struct(">I")
ENVELOPE_BYTES = HEAD.size + _CRC.size
MARK_KEY = b""
"""Key of BEGIN and END."""

_Body = TypeVar("_Body", "Begin", "End")


class MessageKind(IntEnum):
    """Kind of a record."""

    BEGIN = 1
    DATA = 2
    END = 3


class Codec(IntEnum):
    """Encoding of a payload."""

    JSON = 0
    LIST = 1


class Envelope(NamedTuple):
    """One checked record: its kind, codec, epoch of its run, seq, and payload."""

    kind: MessageKind
    codec: Codec
    epoch: int
    seq: int
    payload: bytes


class Begin(Strict):
    """Payload of BEGIN: the run, the hash of its announcement, and what this partition will contain."""

    run: RunName
    announcement: str
    slice: Slice


class End(Strict):
    """Payload of END: the run, and the records sent to this partition."""

    run: RunName
    count: int
    digest: str


def pack(kind: MessageKind, epoch: int, seq: int, key: bytes, payload: bytes) -> bytes:
    """Returns the Kafka value of a record; the kind determines its codec."""
    head = HEAD.pack(kind, Codec.LIST if kind == MessageKind.DATA else Codec.JSON, epoch, seq)
    return b"%b%b%b" % (head, _CRC.pack(zlib.crc32(payload, zlib.crc32(key, zlib.crc32(head)))), payload)


def unpack(key: bytes | None, value: bytes | None) -> Envelope:
    """Returns the record in a Kafka key and value; raises MalformedMessage, or UnknownMessage if it is too new."""
    if value is None:
        raise MalformedMessage("null value (a tombstone)")
    if key is None:
        raise MalformedMessage("null key")
    if len(value) < ENVELOPE_BYTES:
        raise MalformedMessage(f"value of {len(value)} bytes, shorter than the envelope of {ENVELOPE_BYTES}")
    head, payload = value[: HEAD.size], value[ENVELOPE_BYTES:]
    if zlib.crc32(payload, zlib.crc32(key, zlib.crc32(head))) != _CRC.unpack_from(value, HEAD.size)[0]:
        raise MalformedMessage("crc32 does not fit key and value")
    return _known(key, payload, *HEAD.unpack(head))


def _known(key: bytes, payload: bytes, kind: int, codec: int, epoch: int, seq: int) -> Envelope:
    if kind not in (1, 2, 3):
        raise UnknownMessage(f"unknown kind {kind}")
    if codec != (Codec.LIST if kind == MessageKind.DATA else Codec.JSON):
        raise UnknownMessage(f"unknown codec {codec} for {MessageKind(kind).name}")
    if (key == MARK_KEY) == (kind == MessageKind.DATA):
        raise MalformedMessage(f"{MessageKind(kind).name} with {'an empty' if key == MARK_KEY else 'a'} key")
    return Envelope(MessageKind(kind), Codec(codec), epoch, seq, payload)


def begin_value(announcement: Announcement, partition: int) -> bytes:
    """Returns the Kafka value of BEGIN for one partition."""
    body = Begin(run=announcement.run, announcement=announcement.hash, slice=announcement.slices[partition])
    return pack(MessageKind.BEGIN, announcement.epoch, 0, MARK_KEY, body.model_dump_json().encode())


def end_value(announcement: Announcement, sent: Slice) -> bytes:
    """Returns the Kafka value of END for the partition of `sent`, its acknowledged records."""
    body = End(run=announcement.run, count=sent.count, digest=sent.digest)
    return pack(MessageKind.END, announcement.epoch, sent.count, MARK_KEY, body.model_dump_json().encode())


def begin_of(envelope: Envelope) -> Begin:
    """Returns the payload of a BEGIN; raises MalformedMessage."""
    return _body(envelope, MessageKind.BEGIN, Begin)


def end_of(envelope: Envelope) -> End:
    """Returns the payload of an END; raises MalformedMessage."""
    return _body(envelope, MessageKind.END, End)


def _body(envelope: Envelope, kind: MessageKind, body: type[_Body]) -> _Body:
    if envelope.kind != kind:
        raise MalformedMessage(f"{envelope.kind.name} where {kind.name} was expected")
    try:
        return body.model_validate_json(envelope.payload)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise MalformedMessage(f"{kind.name}: {where}: {first['msg']}") from None


def raw_bytes(value: str | bytes | None) -> bytes | None:
    """Returns a key or value as bytes; librdkafka's types allow text."""
    return value.encode() if isinstance(value, str) else value
