"""Ctrl-C (for a job also SIGTERM) ends a process at any moment with one line and exit code 130.

A terminal sends Ctrl-C to the whole process group, including Spark's JVM, so that calls into the JVM fail in many ways
meanwhile. None of these errors is the cause; the line is printed at once, and later errors are not.
"""

import logging
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

INTERRUPTED = 130
"""Exit code of a process that Ctrl-C ended."""


def end_at_once() -> None:
    """Makes Ctrl-C end the process with a line, while modules are imported and there is nothing to clean up."""
    signal.signal(signal.SIGINT, _end)


@contextmanager
def ending_at_once() -> Iterator[None]:
    """Does what `end_at_once` does for the block; the handler of before has its turn again afterwards."""
    before = signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end(number: int, frame: FrameType | None) -> None:
    _say("interrupted before anything was begun")
    os._exit(INTERRUPTED)


class Stop:
    """Handles these signals while the context is open, and records whether one came.

    It prints the advice at once and raises KeyboardInterrupt; open it in the main thread.
    """

    def __init__(self, advice: str, signals: Sequence[signal.Signals] = (signal.SIGINT,)) -> None:
        self.asked = False
        self._advice = advice
        self._signals = signals
        self._before: list[Any] = []

    def __enter__(self) -> Self:
        self._before = [signal.signal(number, self._ask) for number in self._signals]
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in zip(self._signals, self._before, strict=True):
            signal.signal(number, handler)
        logging.disable(logging.NOTSET)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        signal.signal(number, signal.SIG_DFL)  # a second signal ends the process at once
        logging.disable()  # libraries would log tracebacks of the same
        _say(self._advice)
        raise KeyboardInterrupt


def _say(text: str) -> None:
    """Writes a log line unbuffered: a signal may come while the log itself is writing."""
    line = f"{time.strftime('%H:%M:%S', time.gmtime())} error     {text}\n"
    try:
        os.write(2, line.encode("ascii", "backslashreplace"))
    except OSError:  # nobody reads it any more
        return
