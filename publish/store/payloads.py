"""Checks whether payloads are valid lists, thousands at a time.

Plain payloads with int64 ids (publish.wire.encoding) are checked together. That check may only be too strict: what it
does not accept is decoded one by one by protobuf's own code, which decides and names the fault.
"""

import math
from collections.abc import Sequence

from conf.ids import IdKind
from publish.errors import MalformedMessage
from publish.wire.codec import decode
from publish.wire.columns import join


def make_ready() -> None:
    """Loads and compiles the checks now, which takes seconds, instead of during the first verification."""
    fault_in([b""], "int64")


def fault_in(payloads: Sequence[bytes], ids: IdKind) -> str | None:
    """Returns why a payload is not a list of distinct sources with finite or no scores, for the first such one."""
    from publish.wire.packed import are_plain  # here because importing numba takes a second

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
