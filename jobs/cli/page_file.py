"""Writes the page that a command was asked for."""

from pathlib import Path

from conf.errors import ConfigError
from jobs.runtime.log import log_step


def write_page(path: Path, text: str, step: str) -> None:
    """Writes the page of `--page` and says so under the name of a step. Raises ConfigError."""
    write_text(path, text, "--page")
    log_step(step, f"the page with all of it: {path}")


def write_text(path: Path, text: str, option: str) -> None:
    """Writes what an option asked for. Raises ConfigError."""
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise ConfigError(f"{option} {path} cannot be written ({error.strerror or error}); name another file") from None
