"""How a job tells what it does: one line per step on stderr, with the time and the stage."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger("discovery")

_LIBRARIES = {
    "mlflow": logging.WARNING,  # tells every step of its first start
    "great_expectations": logging.WARNING,
    "publish.kafka": logging.ERROR,  # librdkafka warns while a fresh broker loads its coordinators, and retries
    "py4j": logging.ERROR,
}


def start_logging() -> None:
    """Sends the product's log to stderr in one plain format."""
    handler = logging.StreamHandler(sys.stderr)
    formatter = logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name, level in _LIBRARIES.items():
        logging.getLogger(name).setLevel(level)
    for name in ("discovery", "features", "models", "expectations", "publish", "jobs"):
        logging.getLogger(name).setLevel(logging.INFO)


@contextmanager
def timed(stage: str, what: str) -> Iterator[list[str]]:
    """Logs `what` when it is done, with what was appended to the list, and its seconds."""
    start = time.monotonic()
    notes: list[str] = []
    yield notes
    tell(stage, f"{what} {' · '.join([*notes, f'{time.monotonic() - start:.1f} s'])}")


def tell(stage: str, message: str) -> None:
    """One line about a stage."""
    log.info("%-9s %s", stage, message)
