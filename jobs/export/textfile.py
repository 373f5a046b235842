"""Metrics in a file for the textfile collector of node_exporter, where nothing of ours may listen."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from conf.errors import ConfigError, DiscoveryError

SUFFIX = ".prom"
"""The collector reads files of this name only."""
_READABLE = 0o644


class CannotWrite(DiscoveryError):
    """The file cannot be written."""


def check_textfile(path: Path) -> None:
    """Raises ConfigError for a file that the collector would not read, or that cannot be there."""
    if path.suffix != SUFFIX:
        raise ConfigError(f"--textfile {path}: node_exporter reads files that end with {SUFFIX} only; name it so")
    if not path.parent.is_dir():
        raise ConfigError(f"--textfile {path}: there is no folder {path.parent}; make it, or name another one")
    if path.is_dir():
        raise ConfigError(f"--textfile {path}: it is a folder; name a file")


def write_textfile(path: Path, registry: CollectorRegistry) -> None:
    """Writes the metrics as a whole: a reader sees the old file or the new one. Raises CannotWrite."""
    content = generate_latest(registry)
    part: str | None = None
    try:
        handle, part = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=".part", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), _READABLE)  # the collector is another user
        Path(part).replace(path)
    except OSError as error:
        if part is not None:
            with suppress(OSError):
                Path(part).unlink()
        raise CannotWrite(f"--textfile {path}: {error.strerror}; the old file, if any, is as it was") from None
