"""Decodes lists from protobuf (`lists.proto`; `make proto` generates `lists_pb2.py`)."""

from typing import NamedTuple

from google.protobuf.message import DecodeError

from conf.ids import IdKind
from publish.errors import MalformedMessage
from publish.lists_pb2 import List


class TopList(NamedTuple):
    """A decoded list: source ids, best first, and one score each or no scores."""

    source_ids: tuple[int | str, ...]
    scores: tuple[float, ...]


def decode(payload: bytes, ids: IdKind) -> TopList:
    """Returns the list in a payload whose ids are of kind `ids`; raises MalformedMessage."""
    try:
        message = List.FromString(payload)
    except DecodeError:
        raise MalformedMessage("payload is not a protobuf List") from None
    numbers, names = message.source_ids, message.source_names
    if names if ids == "int64" else numbers:
        raise MalformedMessage(f"payload holds ids of another kind than {ids}")
    # tuple(field[:]) is faster than tuple(field): the slice is copied in one go.
    found: tuple[int | str, ...] = tuple(numbers[:]) if ids == "int64" else tuple(names[:])
    scores = tuple(message.scores[:])
    if scores and len(scores) != len(found):
        raise MalformedMessage(f"payload has {len(scores)} scores for {len(found)} sources")
    return TopList(found, scores)
