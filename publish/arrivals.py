"""What a record of the topic turns out to be, judged by itself and against what was announced."""

import zlib
from typing import NamedTuple

from confluent_kafka import Message

from publish.errors import MalformedMessage, UnknownMessage
from publish.messages import HEAD, Begin, End, Envelope, Kind, begin_of, end_of, unpack
from publish.redis_store import Record
from publish.registry import Run


class Arrival(NamedTuple):
    """A record as it arrived: readable (`envelope`), or not (`fault`; `epoch` where it can be told)."""

    message: Message
    envelope: Envelope | None
    fault: str = ""
    epoch: int | None = None
    too_new: bool = False


def read_arrival(message: Message, partition: int, partitions: int) -> Arrival:
    """The record of a message in this partition of so many."""
    key, value = raw_bytes(message.key()), raw_bytes(message.value())
    try:
        envelope = unpack(key, value)
    except UnknownMessage as error:
        epoch = HEAD.unpack_from(value)[2] if value is not None else None
        return Arrival(message, None, error.reason, epoch, too_new=True)
    except MalformedMessage as error:
        return Arrival(message, None, error.reason)
    if envelope.kind is Kind.DATA and key is not None:
        home = zlib.crc32(key) % partitions
        if home != partition:
            return Arrival(message, None, f"belongs to partition {home}", envelope.epoch)
    return Arrival(message, envelope)


def sort_of(arrival: Arrival) -> tuple[Kind | None, int]:
    """Kind and epoch of a record; None and 0 of an unreadable one."""
    return (None, 0) if arrival.envelope is None else (arrival.envelope.kind, arrival.envelope.epoch)


def envelope_of(arrival: Arrival) -> Envelope:
    """The envelope of a readable record; raises MalformedMessage."""
    if arrival.envelope is None:
        raise MalformedMessage(arrival.fault)
    return arrival.envelope


def record_of(run: Run, arrival: Arrival) -> Record:
    """The list of a DATA record, with its bucket."""
    envelope, key = envelope_of(arrival), raw_bytes(arrival.message.key())
    user = key if key is not None else b""
    return Record(envelope.seq, run.announcement.layout.place_of_key(user)[1], user, envelope.payload)


def genuine_mark(envelope: Envelope, run: Run, partition: int) -> Begin | End:
    """The payload of a BEGIN or END that agrees with what was announced; raises MalformedMessage."""
    mark = begin_of(envelope) if envelope.kind is Kind.BEGIN else end_of(envelope)
    if mark.run != run.name:
        raise MalformedMessage(f"epoch {envelope.epoch} was announced as another run")
    if isinstance(mark, Begin) and mark.announcement != run.announcement.hash:
        raise MalformedMessage(f"BEGIN of run {run.name} with another hash than announced")
    if isinstance(mark, Begin) and mark.slice not in run.announcement.slices[partition : partition + 1]:
        raise MalformedMessage(f"BEGIN of run {run.name} with another slice than announced")
    return mark


def raw_bytes(value: str | bytes | None) -> bytes | None:
    """A key or value as bytes; librdkafka's types allow text."""
    return value.encode() if isinstance(value, str) else value
