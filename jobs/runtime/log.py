"""The log of a job: one line per step on stderr, with the time and the stage."""

import io
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger("discovery")

_OURS = ("discovery", "features", "models", "expectations", "publish", "jobs")
_QUIETER = {
    "publish.kafka": logging.ERROR,  # librdkafka warns while a fresh broker loads its coordinators, and retries
    "py4j": logging.CRITICAL,  # logs a traceback of the error that follows
}


def start_logging() -> None:
    """Sends the product's log to stderr in one plain format; of libraries only warnings.

    Characters that stdout or stderr cannot encode, as in a C locale, are escaped from now on.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")  # it has a handler of its own
    handler = logging.StreamHandler(sys.stderr)
    formatter = logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    handler.addFilter(_is_wanted)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in _OURS:
        logging.getLogger(name).setLevel(logging.INFO)
    for name, level in _QUIETER.items():
        logging.getLogger(name).setLevel(level)
    logging.getLogger("publish.kafka").addFilter(_Throttle())


@contextmanager
def timed(stage: str, what: str) -> Iterator[list[str]]:
    """Logs `what` at the end of the block, with the notes appended to the yielded list, and the seconds."""
    start = time.monotonic()
    notes: list[str] = []
    yield notes
    log_step(stage, f"{what} {' · '.join([*notes, f'{time.monotonic() - start:.1f} s'])}")


def log_step(stage: str, message: str) -> None:
    """Logs a line about a stage."""
    log.info("%-9s %s", stage, message)


class _Throttle:
    """Passes one record per ten seconds: librdkafka logs several times a second that a broker is down."""

    _SECONDS = 10.0

    def __init__(self) -> None:
        self._next = 0.0

    def __call__(self, _: logging.LogRecord) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._SECONDS
        return True


def _is_wanted(record: logging.LogRecord) -> bool:
    """Passes our records, and warnings of libraries: some set their own level when they are imported."""
    return record.levelno >= logging.WARNING or record.name.partition(".")[0] in _OURS
