"""The records of `<product>.exposures.v1` (`exposure.proto`; `make proto` generates `exposure_pb2.py`)."""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple, get_args

from google.protobuf.message import DecodeError

from conf.ids import IdKind, UserId, parse_int64
from conf.surface import SURFACE_RULE, is_surface
from publish.errors import BadUserId, MalformedMessage
from publish.exposure_pb2 import Exposure, Writer
from publish.read.rules import Answer, Arm, Kind
from publish.wire.user_ids import user_key

WRITER_KEY = b""
"""Key of a writer's own records; no user has it."""
_TOO_LARGE = 2**62
_KINDS: Mapping[str, int] = {kind: number for number, kind in enumerate(get_args(Kind), start=1)}
_ARMS: Mapping[str, int] = {arm: number for number, arm in enumerate(get_args(Arm), start=1)}
_KIND_NAMES: Mapping[int, Kind] = dict(enumerate(get_args(Kind), start=1))
_ARM_NAMES: Mapping[int, Arm] = dict(enumerate(get_args(Arm), start=1))


class Exposed(NamedTuple):
    """One answer to one user, as it was logged; the columns of `conf.contract.exposures`."""

    user_id: UserId
    ts: int
    """UTC, in milliseconds since 1970."""
    surface: str
    kind: Kind
    arm: Arm
    share_bp: int
    run: str | None
    source_ids: tuple[UserId, ...]
    writer: str
    seq: int


class WriterCounts(NamedTuple):
    """What a writer has counted so far; `closed`: it has stopped."""

    writer: str
    ts: int
    logged: int
    dropped: Mapping[str, int]
    queue: int
    closed: bool


def encode_exposure(answer: Answer, surface: str, ts: int, writer: int, seq: int) -> tuple[bytes, bytes]:
    """Returns key and value of an answer's record; raises ValueError for a surface that is none."""
    sources = answer.source_ids
    named = bool(sources) and isinstance(sources[0], str)
    user = str(answer.user_id)
    own = Exposure(
        user_id=user,
        ts=ts,
        seq=seq,
        source_ids=() if named else sources,  # type: ignore[arg-type]  # of one kind each
        source_names=sources if named else (),  # type: ignore[arg-type]
    )
    # two encoded messages, one behind the other, are one with the fields of both
    shared = _shared(surface, answer.kind, answer.arm, answer.share_bp, answer.run, writer)
    return user.encode(), shared + own.SerializeToString()


@lru_cache(maxsize=1_024)
def _shared(surface: str, kind: Kind, arm: Arm, share_bp: int, run: str | None, writer: int) -> bytes:
    """Returns the encoded fields that many answers share; raises ValueError for a surface that is none."""
    if not is_surface(surface):
        raise ValueError(f"surface {surface!r:.100} is not {SURFACE_RULE}")
    return Exposure(
        surface=surface,
        kind=_KINDS[kind],  # type: ignore[arg-type]  # the generated stub wants a subclass of int
        arm=_ARMS[arm],  # type: ignore[arg-type]
        share_bp=share_bp,
        run=run,
        writer=writer,
    ).SerializeToString()


def encode_writer(counts: WriterCounts) -> bytes:
    """Returns the value of a writer's own record."""
    return Writer(
        writer=int(counts.writer, 16),
        ts=counts.ts,
        logged=counts.logged,
        dropped=dict(counts.dropped),
        queue=counts.queue,
        closed=counts.closed,
    ).SerializeToString()


def decode_record(key: bytes | None, value: bytes | None, ids: IdKind, product: str) -> Exposed | WriterCounts:
    """Returns the record in a Kafka key and value, with ids of kind `ids`; raises MalformedMessage."""
    if value is None:
        raise MalformedMessage("null value (a tombstone)")
    if key is None:
        raise MalformedMessage("null key")
    try:
        return _writer(Writer.FromString(value)) if key == WRITER_KEY else _exposed(key, value, ids, product)
    except DecodeError:
        raise MalformedMessage("value is not a protobuf Exposure") from None


def writer_name(number: int) -> str:
    """Returns a writer's id as 16 hex digits."""
    return f"{number:016x}"


def _writer(found: Writer) -> WriterCounts:
    if found.writer == 0 or found.queue == 0 or found.logged >= _TOO_LARGE:
        raise MalformedMessage("an empty key, and the value is no Writer")
    name = writer_name(found.writer)
    return WriterCounts(name, found.ts, found.logged, dict(found.dropped), found.queue, found.closed)


def _exposed(key: bytes, value: bytes, ids: IdKind, product: str) -> Exposed:
    found = Exposure.FromString(value)
    if found.user_id.encode() != key:
        raise MalformedMessage("is about another user than its key")
    try:
        user_key(found.user_id, ids, product)
    except BadUserId:
        raise MalformedMessage(f"user is not of kind {ids}") from None
    kind, arm = _KIND_NAMES.get(found.kind), _ARM_NAMES.get(found.arm)
    if kind is None or arm is None:
        raise MalformedMessage(f"unknown kind {int(found.kind)} or arm {int(found.arm)}; is it of a newer version?")
    if not is_surface(found.surface):
        raise MalformedMessage(f"surface is not {SURFACE_RULE}")
    if found.seq >= _TOO_LARGE or found.share_bp > 10_000 or found.writer == 0:
        raise MalformedMessage("writer, seq or share_bp is out of range")
    if found.source_names if ids == "int64" else found.source_ids:
        raise MalformedMessage(f"sources are of another kind than {ids}")
    return Exposed(
        _id(found.user_id, ids),
        found.ts,
        found.surface,
        kind,
        arm,
        found.share_bp,
        found.run if found.HasField("run") else None,
        tuple(found.source_ids[:] if ids == "int64" else found.source_names[:]),
        writer_name(found.writer),
        found.seq,
    )


def _id(text: str, ids: IdKind) -> UserId:
    number = parse_int64(text) if ids == "int64" else None
    return text if number is None else number
