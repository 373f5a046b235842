"""Limits the time of work that may hang."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from expectations.errors import GateTimeout

T = TypeVar("T")


def within(seconds: float, work: Callable[[], T], limit: str = "gates.time_limit_seconds") -> T:
    """Returns what `work` returns, or raises what it raises; raises GateTimeout after `seconds`, set by `limit`.

    The work runs in a daemon thread, so that a hanging call does not keep the process alive. A thread cannot be
    stopped: it ends with the process.
    """
    future = begin(work)
    try:
        return future.result(timeout=seconds)
    except TimeoutError:
        if future.done():
            raise  # the work's own TimeoutError
        raise GateTimeout(f"no answer within {seconds:,g} s ({limit})") from None


def begin(work: Callable[[], T]) -> "Future[T]":
    """Begins work in a daemon thread; the future has what it returns, or raises what it raises."""
    future: Future[T] = Future()
    threading.Thread(target=_fulfil, args=(future, work), name="gate", daemon=True).start()
    return future


def _fulfil(future: "Future[T]", work: Callable[[], T]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001 - not swallowed: `within` raises it in the caller's thread
        future.set_exception(error)
