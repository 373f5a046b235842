"""Reads records of the topic and checks them, alone and against the announcement.

Lists are checked in columns, thousands at a time; any other record is checked on its own, to name its fault.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from confluent_kafka import Message

from publish.errors import MalformedMessage, UnknownMessage
from publish.runs.run import RegisteredRun
from publish.store.batches import Batch, Ints
from publish.wire.keys import Layout
from publish.wire.messages import (
    ENVELOPE_BYTES,
    HEAD,
    MARK_KEY,
    Begin,
    Codec,
    End,
    Envelope,
    MessageKind,
    begin_of,
    end_of,
    raw_bytes,
    unpack,
)

_NOTHING = bytes(ENVELOPE_BYTES)  # replaces a value without envelope; has no valid kind


class Arrival(NamedTuple):
    """A record as it arrived: readable (`envelope`), or not (`fault`, and `epoch` if it can be read)."""

    message: Message
    envelope: Envelope | None
    fault: str = ""
    epoch: int | None = None
    too_new: bool = False


class DataBlock(NamedTuple):
    """Consecutive intact lists of one run, in the right partition; index i of each column is one record."""

    epoch: int
    messages: Sequence[Message]
    seqs: Ints
    crcs: Ints
    """CRC32 of the keys."""
    users: list[bytes]
    payloads: list[bytes]

    def batch(self, layout: Layout) -> Batch:
        """Returns these lists with their buckets (as Layout.place_of_key)."""
        return Batch(self.seqs, self.crcs // layout.partitions % layout.buckets, self.users, self.payloads)


def read_messages(messages: Sequence[Message], partition: int, partitions: int) -> Iterator[DataBlock | list[Arrival]]:
    """Yields consecutive messages of a partition in pieces: intact lists of one run, or other records.

    `partitions` is the topic's number of partitions.
    """
    from publish.wire.record_rows import open_rows  # here because importing numba takes a second

    keys, values = _filled(map(Message.key, messages), b""), _filled(map(Message.value, messages), _NOTHING)
    if min(map(len, values)) < ENVELOPE_BYTES:
        values = [value if len(value) >= ENVELOPE_BYTES else _NOTHING for value in values]
    heads, intact, payloads = open_rows(keys, values)
    crcs = np.fromiter(map(zlib.crc32, keys), np.int64, len(keys))
    lists = (
        (heads["kind"] == MessageKind.DATA)
        & (heads["codec"] == Codec.LIST)
        & np.array([key != MARK_KEY for key in keys])
    )
    plain = intact & lists & (crcs % partitions == partition)
    for piece in _pieces(plain, heads["epoch"]):
        if plain[piece.start]:
            seqs = heads["seq"][piece].astype(np.int64)
            epoch = int(heads["epoch"][piece.start])
            yield DataBlock(epoch, messages[piece], seqs, crcs[piece], keys[piece], payloads[piece])
        else:
            yield [read_arrival(message, partition, partitions) for message in messages[piece]]


def _filled(parts: Iterable[str | bytes | None], nothing: bytes) -> list[bytes]:
    """Returns keys or values as bytes, with `nothing` in place of null."""
    found: list[Any] = list(parts)
    if set(map(type, found)) != {bytes}:  # rare
        found = [nothing if part is None else raw_bytes(part) for part in found]
    return found


def _pieces(plain: npt.NDArray[Any], epochs: npt.NDArray[Any]) -> Iterator[slice]:
    """Yields the ranges in which neither value changes."""
    changes = (plain[1:] != plain[:-1]) | (plain[1:] & (epochs[1:] != epochs[:-1]))
    edges = [0, *(np.flatnonzero(changes) + 1).tolist(), len(plain)]
    return map(slice, edges[:-1], edges[1:])


def read_arrival(message: Message, partition: int, partitions: int) -> Arrival:
    """Returns the checked record of a message in `partition`."""
    key, value = raw_bytes(message.key()), raw_bytes(message.value())
    try:
        envelope = unpack(key, value)
    except UnknownMessage as error:
        epoch = HEAD.unpack_from(value)[2] if value is not None else None
        return Arrival(message, None, error.reason, epoch, too_new=True)
    except MalformedMessage as error:
        return Arrival(message, None, error.reason)
    if envelope.kind is MessageKind.DATA and key is not None:
        home = zlib.crc32(key) % partitions
        if home != partition:
            return Arrival(message, None, f"belongs to partition {home}", envelope.epoch)
    return Arrival(message, envelope)


def kind_of(arrival: Arrival) -> MessageKind | None:
    """Returns the kind of a record; None if it is unreadable."""
    return None if arrival.envelope is None else arrival.envelope.kind


def envelope_of(arrival: Arrival) -> Envelope:
    """Returns the envelope of a readable record; raises MalformedMessage."""
    if arrival.envelope is None:
        raise MalformedMessage(arrival.fault)
    return arrival.envelope


def checked_mark(envelope: Envelope, run: RegisteredRun, partition: int) -> Begin | End:
    """Returns the payload of a BEGIN or END that matches the announcement; raises MalformedMessage."""
    mark = begin_of(envelope) if envelope.kind is MessageKind.BEGIN else end_of(envelope)
    if mark.run != run.name:
        raise MalformedMessage(f"epoch {envelope.epoch} was announced as another run")
    if isinstance(mark, Begin) and mark.announcement != run.announcement.hash:
        raise MalformedMessage(f"BEGIN of run {run.name} with another hash than announced")
    if isinstance(mark, Begin) and mark.slice not in run.announcement.slices[partition : partition + 1]:
        raise MalformedMessage(f"BEGIN of run {run.name} with another slice than announced")
    return mark
