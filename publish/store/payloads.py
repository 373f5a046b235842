"""Whether payloads are lists that may serve, thousands at a time.

Plain ones, as publish.wire.encoding writes them for int64 ids, are judged together. That judgement is only ever too
strict: what it does not pass is decoded by protobuf's own code, one by one, which has the last word and the reason.
"""

import math
from collections.abc import Sequence

from conf.contract import IdKind
from publish.errors import MalformedMessage
from publish.wire.codec import decode
from publish.wire.columns import join


def make_ready() -> None:
    """Load and compile what takes seconds now, instead of in the middle of the first verification."""
    fault_in([b""], "int64")


def fault_in(payloads: Sequence[bytes], ids: IdKind) -> str | None:
    """Return what is wrong with the first payload that is no list of distinct sources, scored by numbers or not at
    all.
    """
    from publish.wire.packed import are_plain  # numba: a second to import, and only whoever verifies needs it

    if ids == "int64" and are_plain(*join(payloads)):
        return None
    return next((fault for payload in payloads if (fault := _fault_of(payload, ids)) is not None), None)


def _fault_of(payload: bytes, ids: IdKind) -> str | None:
    try:
        sources, scores = decode(payload, ids)
    except MalformedMessage as error:
        return error.reason
    if len(set(sources)) != len(sources):
        return "a list holds a source twice"
    return None if math.isfinite(sum(scores)) else "a list holds a score that is not a number"
