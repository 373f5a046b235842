"""Builds and opens records as publish.wire.messages does, but in columns, many at a time."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from publish.wire.checksums import checksums, seal
from publish.wire.columns import Ints, cut, join
from publish.wire.messages import ENVELOPE_BYTES, HEAD, Codec, MessageKind

_HEAD_ROW = np.dtype([("kind", "u1"), ("codec", "u1"), ("epoch", ">u8"), ("seq", ">u4")])
_ENVELOPE_ROW = np.dtype([*_HEAD_ROW.descr, ("crc", ">u4")])


class Opened(NamedTuple):
    """The opened envelopes of some records; index i of each column is one record. `intact`: the CRC fits."""

    envelopes: npt.NDArray[Any]
    """Structured array of kind, codec, epoch, seq and crc."""
    intact: npt.NDArray[np.bool_]
    payloads: list[bytes]


def pack_rows(epoch: int, first_seq: int, keys: Sequence[bytes], payloads: Sequence[bytes]) -> list[bytes]:
    """Returns the Kafka values of consecutive DATA records, equal to what `pack` returns for each."""
    heads = np.empty(len(keys), _HEAD_ROW)
    heads["kind"], heads["codec"], heads["epoch"] = MessageKind.DATA, Codec.LIST, epoch
    heads["seq"] = np.arange(first_seq, first_seq + len(keys))
    data, ends = join(payloads)
    values = seal(heads.view(np.uint8).reshape(-1, HEAD.size), *join(keys), data, ends)
    return cut(values, ends + ENVELOPE_BYTES * np.arange(1, len(ends) + 1))


def open_rows(keys: Sequence[bytes], values: Sequence[bytes]) -> Opened:
    """Returns the opened records of Kafka keys and values; each value must have at least ENVELOPE_BYTES."""
    data, ends = join(values)
    starts: Ints = np.concatenate([[0], ends[:-1]])
    envelopes = data[starts[:, None] + np.arange(ENVELOPE_BYTES)].view(_ENVELOPE_ROW).reshape(-1)
    intact = checksums(data, ends, HEAD.size, *join(keys)) == envelopes["crc"]
    return Opened(envelopes, intact, [value[ENVELOPE_BYTES:] for value in values])
