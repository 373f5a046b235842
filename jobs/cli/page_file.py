"""Writes the page that a command was asked for."""

from pathlib import Path

from conf.errors import ConfigError
from jobs.runtime.log import log_step


def write_page(path: Path, text: str, step: str) -> None:
    """Writes a page and says so under the name of a step. Raises ConfigError."""
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise ConfigError(f"--page {path} cannot be written ({error.strerror or error}); name another file") from None
    log_step(step, f"the page with all of it: {path}")
