"""Ctrl-C ends whatever a person started with one line and exit code 130, at any moment; of a job SIGTERM does, too.

A terminal sends Ctrl-C to the whole process group, Spark's JVM included, so that on the way down calls into the JVM
fail in many ways. None of them is what happened; the line is written at once, and whatever follows is not told.
"""

import logging
import os
import signal
import time
from collections.abc import Sequence
from types import FrameType
from typing import Any, Self

INTERRUPTED = 130
"""Exit code, as of a process that Ctrl-C ended."""


def end_at_once() -> None:
    """Until somebody has something to clean up: while modules are imported, the line is all there is to do."""
    signal.signal(signal.SIGINT, _end)


def _end(number: int, frame: FrameType | None) -> None:
    _say("interrupted before anything was begun")
    os._exit(INTERRUPTED)


class Stop:
    """Whether somebody asked this process to stop, by one of these signals, while the context was open.

    It says so at once, with what to do next, and raises KeyboardInterrupt; to be opened in the main thread.
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
        signal.signal(number, signal.SIG_DFL)  # who asks twice does not want to wait
        logging.disable()  # libraries tell with traces what the line says
        _say(self._advice)
        raise KeyboardInterrupt


def _say(text: str) -> None:
    """One line of the log, unbuffered: a signal may come while the log itself is writing."""
    line = f"{time.strftime('%H:%M:%S', time.gmtime())} error     {text}\n"
    try:
        os.write(2, line.encode("ascii", "backslashreplace"))
    except OSError:  # nobody reads it any more
        return
